//! Notices that files changed, and says so once when an edit is over. Saving a file is several changes, and
//! an editor may put a new file in the old one's place; so folders are watched, and nothing is said until
//! they have been still for a moment.

use std::{path::PathBuf, time::Duration};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

/// How long nothing may have changed before an edit is over.
const STILL: Duration = Duration::from_millis(300);

/// A watch over files and folders; ends when it is dropped. A folder is the one that was there when the watch began: after
/// each change another watch is needed.
#[derive(Debug)]
pub struct Watch {
    changes: mpsc::Receiver<()>,
    _watcher: RecommendedWatcher,
}

impl Watch {
    /// Watches the folders that hold these files, and these folders with all that is in them.
    ///
    /// # Errors
    /// The system cannot watch one of them.
    pub fn over(paths: &[PathBuf]) -> notify::Result<Self> {
        let (send, changes) = mpsc::channel(1);
        let own = paths.to_vec();
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                if event.as_ref().is_ok_and(|e| concerns(e, &own)) || event.is_err() {
                    // Full means that a change is on its way already.
                    let _ = send.try_send(());
                }
            })?;
        for path in paths {
            if path.is_dir() {
                watcher.watch(path, RecursiveMode::Recursive)?;
            }
            // A folder that is put in the place of another is told by the one that holds both.
            if let Some(folder) = path.parent() {
                watcher.watch(folder, RecursiveMode::NonRecursive)?;
            }
        }
        Ok(Self {
            changes,
            _watcher: watcher,
        })
    }

    /// Waits for the end of the next edit.
    pub async fn changed(&mut self) {
        if self.changes.recv().await.is_none() {
            return std::future::pending().await;
        }
        while let Ok(Some(())) = tokio::time::timeout(STILL, self.changes.recv()).await {}
    }
}

/// Whether an event may have changed what a load would read. A log or a database beside `tripline.yaml` changes all
/// the time and means nothing.
fn concerns(event: &notify::Event, paths: &[PathBuf]) -> bool {
    if matches!(event.kind, EventKind::Access(_)) {
        return false;
    }
    let is_read = |path: &PathBuf| {
        paths.iter().any(|own| {
            if own.is_dir() {
                // A folder that comes or goes takes its files with it.
                let yaml = path.extension().is_none_or(|e| e == "yaml" || e == "yml");
                path.starts_with(own) && yaml
            } else {
                path.file_name() == own.file_name()
            }
        })
    };
    event.paths.is_empty() || event.paths.iter().any(is_read)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    async fn is_told(watch: &mut Watch, within: u64) -> bool {
        let wait = Duration::from_secs(within);
        tokio::time::timeout(wait, watch.changed()).await.is_ok()
    }

    #[tokio::test]
    async fn an_edit_is_told_and_a_log_beside_the_settings_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir(root.join("controls")).unwrap();
        fs::write(root.join("tripline.yaml"), "a").unwrap();
        let mut watch = Watch::over(&[root.join("tripline.yaml"), root.join("controls")]).unwrap();
        fs::write(root.join("serve.log"), "a line").unwrap();
        fs::write(root.join("controls/notes.txt"), "a line").unwrap();
        assert!(!is_told(&mut watch, 2).await);
        fs::write(root.join("controls/new.yaml"), "id: new").unwrap();
        assert!(is_told(&mut watch, 60).await);
        // As editors save: a new file in the place of the old one.
        fs::write(root.join("tripline.yaml.part"), "b").unwrap();
        fs::rename(root.join("tripline.yaml.part"), root.join("tripline.yaml")).unwrap();
        assert!(is_told(&mut watch, 60).await);
    }

    #[tokio::test]
    async fn a_folder_in_the_place_of_another_is_told_and_watched_again() {
        let folder = tempfile::tempdir().unwrap();
        let controls = folder.path().join("controls");
        let begin = || Watch::over(std::slice::from_ref(&controls)).unwrap();
        let mut watch = begin();
        fs::create_dir(&controls).unwrap();
        assert!(is_told(&mut watch, 60).await, "it came");
        let mut watch = begin();
        fs::rename(&controls, folder.path().join("before")).unwrap();
        fs::create_dir(&controls).unwrap();
        assert!(is_told(&mut watch, 60).await, "it is another");
        let mut watch = begin();
        fs::write(controls.join("new.yaml"), "id: new").unwrap();
        assert!(is_told(&mut watch, 60).await);
    }
}
