//! Notices that files changed, and says so once when an edit is over. Saving a file is several changes, and
//! an editor may put a new file in the old one's place; so folders are watched, and nothing is said until
//! they have been still for a moment.

use std::{path::PathBuf, time::Duration};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

/// How long nothing may have changed before an edit is over.
const STILL: Duration = Duration::from_millis(300);

/// A watch over files and folders; ends when it is dropped.
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
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                let reads = event
                    .as_ref()
                    .is_ok_and(|e| matches!(e.kind, EventKind::Access(_)));
                if !reads {
                    // Full means that a change is on its way already.
                    let _ = send.try_send(());
                }
            })?;
        for path in paths {
            if path.is_dir() {
                watcher.watch(path, RecursiveMode::Recursive)?;
            } else if let Some(folder) = path.parent() {
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
