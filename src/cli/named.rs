//! Things that a person names by the beginning of an id: exactly one, or a sentence that helps.

use std::{fmt::Display, process::ExitCode};

use super::out::Out;
use crate::store::Found;

/// The one that was meant, or what to say. `list` is the command that shows all of that noun.
pub(super) fn unambiguous<T>(
    found: Found<T>,
    (noun, name): (&str, &str),
    list: &str,
) -> Result<T, String> {
    match found {
        Found::One(one) => Ok(one),
        Found::Nothing => Err(format!("there is no {noun} `{name}`; `{list}` lists them")),
        Found::Several(names) => Err(format!(
            "more than one {noun} begins with `{name}`: {}",
            names.join(", ")
        )),
    }
}

/// Says what is wrong with what was asked, and ends with that exit code.
///
/// # Errors
/// When standard error cannot be written.
pub(super) fn refuse(code: u8, what: impl Display) -> anyhow::Result<ExitCode> {
    Out::stderr().line(format!("error: {what}"))?;
    Ok(ExitCode::from(code))
}
