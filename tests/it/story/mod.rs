//! The main job from outside: the program itself, real systems, and days that pass in seconds.

mod bucket;
mod changed;
mod company;
mod excepted;
mod killed;
mod main_job;
mod played;
mod proved;
mod register;
mod reported;
mod served;
mod signalled;
mod told;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;

/// An installation of its own, driven by the program.
pub(crate) struct Installation {
    folder: TempDir,
}

impl Installation {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(
            Path::new("connectors"),
            &folder.path().join("connectors"),
            |t| t,
        );
        // An installation with few people has no register: nobody could decide.
        let without = |text: String| match text.split_once("\nexceptions:") {
            Some((before, _)) => format!("{before}\n"),
            None => text,
        };
        copy(
            Path::new("policies"),
            &folder.path().join("policies"),
            without,
        );
        fs::create_dir_all(folder.path().join("controls")).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Takes over one of the shipped controls.
    pub(crate) fn control(&self, file: &str) {
        let name = file.replace('/', "-");
        fs::copy(
            Path::new("controls").join(file),
            self.path("controls").join(name),
        )
        .unwrap();
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// A file that holds a secret, for `{ file: … }`.
    pub(crate) fn secret(&self, name: &str, value: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, value).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// Runs the program on it.
    pub(crate) fn run(&self, arguments: &[&str], fail_at: Option<&str>) -> Ran {
        let failing = fail_at.map(|point| format!("{point}=return"));
        let failing: Vec<(&str, &str)> =
            failing.iter().map(|f| ("FAILPOINTS", f.as_str())).collect();
        self.run_with(arguments, &failing)
    }

    /// Runs the program on it with these in its environment.
    pub(crate) fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tripline"));
        // Another installation may be named.
        if !arguments.contains(&"--config") {
            command.arg("--config").arg(self.folder.path());
        }
        command.args(arguments);
        command
            .env_remove("TRIPLINE_CONFIG")
            .env_remove("FAILPOINTS")
            .env_remove("TRIPLINE_TOKEN")
            .env_remove("TRIPLINE_TOKEN_FILE")
            .envs(environment.iter().copied());
        Ran(command.output().unwrap())
    }

    /// `tripline check` at an instant.
    pub(crate) fn check(&self, at: &str) -> Ran {
        self.run(&["check", "--as-of", at], None)
    }

    /// The log is whole for us and for somebody who shares no code with us; gives its export.
    pub(crate) fn intact(&self) -> PathBuf {
        let said = self.run(&["audit", "verify"], None).ends(0);
        assert!(said.starts_with("Intact"), "{said}");
        let export = self.path("export");
        self.run(&["audit", "export", export.to_str().unwrap()], None)
            .ends(0);
        let outside = Command::new("python3")
            .arg("tools/verify_audit.py")
            .arg(&export)
            .output()
            .unwrap();
        assert!(
            outside.status.success(),
            "{}",
            String::from_utf8_lossy(&outside.stdout)
        );
        export
    }

    /// A list as JSON.
    pub(crate) fn list(&self, arguments: &[&str]) -> Vec<Value> {
        let ran = self.run(&[&["--format", "json"], arguments].concat(), None);
        let text = ran.out();
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}\n{}", ran.err()))
    }
}

/// What the program did.
pub(crate) struct Ran(Output);

impl Ran {
    pub(crate) fn code(&self) -> Option<i32> {
        self.0.status.code()
    }

    pub(crate) fn out(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    pub(crate) fn err(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    /// It ended like this; what it said otherwise.
    #[track_caller]
    pub(crate) fn ends(&self, code: i32) -> String {
        assert_eq!(self.code(), Some(code), "{}\n{}", self.out(), self.err());
        self.out()
    }
}

fn copy(from: &Path, to: &Path, change: impl Fn(String) -> String) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let text = fs::read_to_string(entry.path()).unwrap();
        fs::write(to.join(entry.file_name()), change(text)).unwrap();
    }
}
