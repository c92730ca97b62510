//! Folders of YAML files: what is read, in which order, and what is said of a file that cannot be
//! read. Order is by path, so that a load tells the same story on every machine. Follows no file that
//! is hidden, and never leaves the folder but through a link that somebody put there.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::yaml::diagnostic::{Diagnostic, Place};

/// How deep folders may be nested; a link that leads back to itself ends here.
const MAX_DEPTH: usize = 16;

/// A file's name, relative to the folder of `tripline.yaml`, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The name that diagnostics show.
    pub name: PathBuf,
    /// The content.
    pub text: String,
}

/// A folder that a kind of file is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Relative to the folder of `tripline.yaml`, or absolute.
    pub path: PathBuf,
    /// Where `tripline.yaml` names it; without that it need not be there.
    pub named: Option<Place>,
}

impl Folder {
    /// The folder of that name beside `tripline.yaml`, if it is there.
    pub fn beside(name: &str) -> Self {
        Self {
            path: name.into(),
            named: None,
        }
    }
}

/// Every YAML file below a folder, sorted by path.
pub fn read(root: &Path, folder: &Folder, out: &mut Vec<Diagnostic>) -> Vec<Text> {
    let full = root.join(&folder.path);
    if !full.is_dir() {
        if let Some(place) = &folder.named {
            let path = folder.path.strip_prefix(root).unwrap_or(&folder.path);
            let what = format!("there is no folder `{}`", path.display());
            out.push(
                Diagnostic::error("TL0603", place, what)
                    .help("the path is relative to the folder of `tripline.yaml`"),
            );
        }
        return Vec::new();
    }
    let mut paths = Vec::new();
    gather(&full, 0, &mut paths, out);
    paths.sort();
    paths
        .into_iter()
        .filter_map(|path| {
            let name = path.strip_prefix(root).unwrap_or(&path).to_owned();
            text(&path, &name, out)
        })
        .collect()
}

/// The text of one file, or a diagnostic under the name that people know it by.
pub fn text(path: &Path, name: &Path, out: &mut Vec<Diagnostic>) -> Option<Text> {
    let what = match fs::read(path) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => {
                return Some(Text {
                    name: name.to_owned(),
                    text,
                });
            }
            Err(_) => "the file is not UTF-8".to_owned(),
        },
        Err(error) => format!("the file cannot be read: {}", why(&error)),
    };
    out.push(Diagnostic::error("TL0006", &Place::file(name), what));
    None
}

/// The system's words for what went wrong, without its number.
pub fn why(error: &io::Error) -> String {
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or_default();
    let mut chars = words.chars();
    chars.next().map_or_else(String::new, |c| {
        c.to_lowercase().collect::<String>() + chars.as_str()
    })
}

fn gather(folder: &Path, depth: usize, paths: &mut Vec<PathBuf>, out: &mut Vec<Diagnostic>) {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            let what = format!("the folder cannot be read: {}", why(&error));
            out.push(Diagnostic::error("TL0006", &Place::file(folder), what));
            return;
        }
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        let hidden = path
            .file_name()
            .is_none_or(|name| name.to_string_lossy().starts_with('.'));
        let yaml = path
            .extension()
            .is_some_and(|ext| ext == "yaml" || ext == "yml");
        if hidden {
            continue;
        }
        if path.is_dir() && depth < MAX_DEPTH {
            gather(&path, depth + 1, paths, out);
        } else if yaml && path.is_file() {
            paths.push(path);
        } else if yaml && path.is_symlink() {
            let what = "the link leads to no file";
            out.push(Diagnostic::error("TL0006", &Place::file(&path), what));
        }
    }
}
