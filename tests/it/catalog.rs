//! The catalog from outside: what ships loads, and what people write wrong is told all at once.

use std::path::Path;

use tripline::catalog::{
    folder::Folder,
    load::{self, Folders},
};

// R001, R014: every control that ships has its four parts, and the clause that it enforces exists.
#[test]
fn what_ships_loads_without_a_word() {
    let folders = Folders {
        controls: Folder::beside("controls"),
        connectors: Folder::beside("connectors"),
        policies: Folder::beside("policies"),
    };
    let mut out = Vec::new();
    let files = load::read(Path::new("."), &folders, &mut out);
    let said: Vec<String> = out.iter().map(ToString::to_string).collect();
    assert_eq!(said.join("\n"), "");
    assert!(files.controls.len() >= 12, "{}", files.controls.len());
    assert!(files.controls.iter().all(|c| c.draft.is_some()));
    assert!(files.policies.len() >= 3);
}
