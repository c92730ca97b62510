//! The demo's post office: takes mail on loopback and keeps each as a file that a mail program opens.
//! Speaks as much of RFC 5321 as a sender needs.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

/// Takes mail.
#[derive(Debug)]
pub(super) struct Post {
    folder: PathBuf,
    taken: AtomicU64,
}

impl Post {
    /// Opens the office; its mail goes into the folder.
    pub(super) fn open(folder: &Path) -> io::Result<Arc<Self>> {
        std::fs::create_dir_all(folder)?;
        Ok(Arc::new(Self {
            folder: folder.to_owned(),
            taken: AtomicU64::new(0),
        }))
    }

    /// How many letters came.
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Takes mail until the task is dropped.
    pub(super) async fn serve(self: Arc<Self>, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let office = self.clone();
            tokio::spawn(async move {
                if let Err(error) = office.session(stream).await {
                    tracing::debug!(%error, "a sender left");
                }
            });
        }
    }

    async fn session(&self, stream: TcpStream) -> io::Result<()> {
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        write
            .write_all(b"220 post.harbour.example.test\r\n")
            .await?;
        while let Some(line) = lines.next_line().await? {
            let word = line
                .split([' ', ':'])
                .next()
                .unwrap_or_default()
                .to_ascii_uppercase();
            let answer: &[u8] = match word.as_str() {
                "EHLO" => b"250-post.harbour.example.test\r\n250 8BITMIME\r\n",
                "DATA" => {
                    write.write_all(b"354 end with a dot\r\n").await?;
                    let mut letter = String::new();
                    while let Some(line) = lines.next_line().await? {
                        if line == "." {
                            break;
                        }
                        letter.push_str(line.strip_prefix('.').unwrap_or(&line));
                        letter.push_str("\r\n");
                    }
                    self.keep(&letter).await?;
                    b"250 taken\r\n"
                }
                "QUIT" => {
                    write.write_all(b"221 bye\r\n").await?;
                    return Ok(());
                }
                "HELO" | "MAIL" | "RCPT" | "RSET" | "NOOP" => b"250 fine\r\n",
                _ => b"502 not here\r\n",
            };
            write.write_all(answer).await?;
        }
        Ok(())
    }

    async fn keep(&self, letter: &str) -> io::Result<()> {
        let number = self.taken.fetch_add(1, Ordering::Relaxed) + 1;
        let header = |name: &str| {
            let line = letter.lines().find_map(|l| l.strip_prefix(name));
            line.unwrap_or_default().trim().to_owned()
        };
        let to = header("To:");
        let to = to
            .split(['<', '@'])
            .find(|p| !p.trim().is_empty())
            .unwrap_or("nobody");
        let kind = if letter.contains("List-Id: Tripline digests") {
            "digest"
        } else {
            "alert"
        };
        let plain = |text: &str| {
            let kept = text
                .trim()
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
            kept.collect::<String>().trim_matches('-').to_lowercase()
        };
        let name = format!("{number:04}-{kind}-{}.eml", plain(to));
        tokio::fs::write(self.folder.join(name), letter).await
    }
}
