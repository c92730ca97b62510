//! A changed control as a file: a draft beside the control that runs in shadow, and the difference between the two for
//! whoever decides. The control itself is never written.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use regex::Regex;
use similar::TextDiff;

use super::{
    Error,
    again::known,
    change::{Change, said},
};
use crate::{
    model::{control::Control, definition::Definition, id::ControlId},
    run::Set,
};

/// A draft of a control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Its id.
    pub id: ControlId,
    /// The file of the control.
    pub of: PathBuf,
    /// The whole file of the draft.
    pub text: String,
    /// What differs, as a unified diff.
    pub diff: String,
}

/// Writes a changed control as text. `root` is the folder that the places of controls are relative to.
///
/// # Errors
/// There is no such control, the change does not fit it, or its file cannot be read.
pub fn draft(
    set: &Set,
    root: &Path,
    (control, change): (&ControlId, &Change),
) -> Result<Draft, Error> {
    let (control, definition) = known(set, control)?;
    let mistakes = change.mistakes(definition, &set.catalog.schemas);
    if !mistakes.is_empty() {
        return Err(Error::Refused(mistakes.join("\n")));
    }
    let of = root.join(&*control.place.file);
    let text = fs::read_to_string(&of)
        .map_err(|e: io::Error| Error::Refused(format!("{}: {e}", of.display())))?;
    let changed = change
        .apply(definition)
        .map_err(|refused| Error::Refused(refused.0))?;
    let id = ControlId::new(format!("{}-draft", control.id));
    let mut new = text.clone();
    for (name, param) in &changed.params {
        let value = said(param);
        new = match definition.params.get(name) {
            Some(old) if old == param => new,
            Some(_) => replaced(&new, name, &value),
            None => added(&new, name, &value),
        };
    }
    if changed.fails_when != definition.fails_when {
        new = condition(&new, &changed.fails_when);
    }
    let of_policy = beside(&new, control, definition);
    let draft = of_policy.replacen(
        &format!("id: {}", control.id),
        &format!("id: {id}\n# Runs beside `{}` and tells nobody. Its examples are still those of the limit that is in force.\nshadow: true", control.id),
        1,
    );
    let name = of
        .file_name()
        .map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let diff = TextDiff::from_lines(&text, &of_policy)
        .unified_diff()
        .context_radius(2)
        .header(&name, &name)
        .to_string();
    Ok(Draft {
        id,
        of,
        text: draft,
        diff,
    })
}

/// The value of a parameter, wherever `params:` is written.
fn replaced(text: &str, name: &str, value: &str) -> String {
    let Ok(find) = Regex::new(&format!(
        r"(?m)^(params:.*?\b{0}:\s*|\s+{0}:\s*)([^,}}\n#]+)",
        regex::escape(name)
    )) else {
        return text.to_owned();
    };
    // The blank before a closing brace stays where it is.
    find.replace(text, |found: &regex::Captures<'_>| {
        let before = found.get(1).map_or("", |m| m.as_str());
        let old = found.get(2).map_or("", |m| m.as_str());
        let blank = old.get(old.trim_end().len()..).unwrap_or_default();
        format!("{before}{value}{blank}")
    })
    .into_owned()
}

/// Another parameter beside those that there are.
fn added(text: &str, name: &str, value: &str) -> String {
    let flow = Regex::new(r"(?m)^(params:\s*\{[^}\n]*?)\s*\}");
    match flow {
        Ok(flow) if flow.is_match(text) => flow
            .replace(text, |found: &regex::Captures<'_>| {
                let before = found.get(1).map_or("", |m| m.as_str());
                format!("{before}, {name}: {value} }}")
            })
            .into_owned(),
        _ => text.replacen("\nparams:\n", &format!("\nparams:\n  {name}: {value}\n"), 1),
    }
}

/// The failure condition, from its key to the next.
fn condition(text: &str, fails_when: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("fails_when:") {
            inside = true;
            out.push_str("fails_when: |\n");
            for part in fails_when.trim().lines() {
                out.push_str("  ");
                out.push_str(part);
                out.push('\n');
            }
            continue;
        }
        inside &= line.starts_with(' ') || line.is_empty();
        if !inside {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

/// A title that says a number which is not the limit any more is put to the reader.
fn beside(text: &str, control: &Control, definition: &Definition) -> String {
    let says = definition.params.values().map(said).find(|value| {
        let number: String = value.chars().take_while(char::is_ascii_digit).collect();
        !number.is_empty() && control.title.contains(&number)
    });
    match says {
        Some(value) => text.replacen(
            "\ntitle:",
            &format!("\n# The title spoke of {value}: does it still?\ntitle:"),
            1,
        ),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "id: rotation\ntitle: Within 90 days\nparams: { rotate_within: 90d, grace: 2d }\nfails_when: a < now() - $rotate_within\nfingerprint: [model]\n";

    #[test]
    fn a_parameter_is_replaced_where_it_stands() {
        assert!(
            replaced(FILE, "rotate_within", "120d").contains("{ rotate_within: 120d, grace: 2d }")
        );
        assert!(replaced(FILE, "grace", "3d").contains("{ rotate_within: 90d, grace: 3d }"));
        let block = "params:\n  rotate_within: 90d # why\n  grace: 2d\n";
        assert_eq!(
            replaced(block, "rotate_within", "120d"),
            "params:\n  rotate_within: 120d # why\n  grace: 2d\n"
        );
    }

    #[test]
    fn another_parameter_and_another_condition_find_their_place() {
        let text = added(FILE, "rotate_within_proposed", "120d");
        assert!(
            text.contains("grace: 2d, rotate_within_proposed: 120d }"),
            "{text}"
        );
        let text = condition(&text, "CASE WHEN (x) THEN (y) ELSE (z) END");
        assert!(
            text.contains("fails_when: |\n  CASE WHEN (x) THEN (y) ELSE (z) END\nfingerprint:"),
            "{text}"
        );
        assert!(!text.contains("a < now()"));
    }
}
