//! Mail: from a stored letter to a message of two parts (text and HTML) on the wire. The message's
//! id and its whole content depend only on the notice, so a second attempt sends the same bytes but
//! for the date. Never sends over a connection that is not protected, except to this machine itself;
//! never opens the door to header injection: what goes into a header is one line.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    message::{
        Mailbox, MultiPart, SinglePart,
        header::{HeaderName, HeaderValue},
    },
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, Tls as Protection, TlsParameters},
    },
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::{
    error::{Error, Result},
    http::chain,
    options::{Smtp, Tls},
    text,
};
use crate::model::id::NoticeId;

/// A letter as it is stored: everything but the recipient's address and the date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// One line.
    pub subject: String,
    /// For those who read text.
    pub text: String,
    /// For those who read HTML.
    pub html: String,
    /// What the letter continues: names of threads, the most general first.
    pub thread: Vec<String>,
    /// The list that it belongs to.
    pub list: List,
    /// Where one click ends the list, for a digest.
    pub unsubscribe: Option<String>,
}

/// The lists that letters belong to, so that people can sort them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum List {
    /// Told at once.
    Alerts,
    /// Told with the digest.
    Digest,
}

impl List {
    const fn name(self) -> (&'static str, &'static str) {
        match self {
            Self::Alerts => ("Tripline alerts", "alerts"),
            Self::Digest => ("Tripline digests", "digest"),
        }
    }
}

/// Who a letter is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// The name that people read.
    pub name: Option<String>,
    /// The address.
    pub address: String,
}

/// Whether a text is an address, with or without a name.
pub fn is_mailbox(text: &str) -> bool {
    text.parse::<Mailbox>().is_ok() && !text.contains(['\r', '\n'])
}

/// Whether a text is one bare address, `ada@example.test`.
pub fn is_address(text: &str) -> bool {
    text.parse::<lettre::Address>().is_ok()
}

/// A mail server that letters go through.
#[derive(Debug)]
pub struct Mailer {
    options: Smtp,
    from: Mailbox,
    /// Kept between letters, and made anew when the password changed.
    transport: Mutex<Option<(Option<SecretString>, Transport)>>,
}

type Transport = Arc<AsyncSmtpTransport<Tokio1Executor>>;

impl Mailer {
    /// Prepares the way without taking it.
    pub fn new(options: &Smtp) -> Result<Self> {
        let from = options
            .from
            .value
            .parse()
            .map_err(|e| Error::Setup(format!("`from` is not an address: {e}")))?;
        Ok(Self {
            options: options.clone(),
            from,
            transport: Mutex::new(None),
        })
    }

    /// Sends one letter, once.
    pub async fn send(
        &self,
        id: &NoticeId,
        letter: &Letter,
        to: &Recipient,
        now: DateTime<Utc>,
    ) -> Result<String> {
        let message = self.compose(id, letter, to, now)?;
        let transport = self.transport().await?;
        let patience = self.options.timeout.to_std();
        match tokio::time::timeout(patience, transport.send(message)).await {
            Ok(Ok(answer)) => {
                let said: Vec<&str> = answer.message().collect();
                Ok(text::clip(
                    &text::line(&format!("SMTP {} {}", answer.code(), said.join(" "))),
                    160,
                ))
            }
            Ok(Err(error)) => Err(refused(&error)),
            Err(_) => Err(Error::Unanswered("it took too long".to_owned())),
        }
    }

    /// Connects, says who we are, and leaves again.
    pub async fn knock(&self) -> Result<String> {
        let transport = self.transport().await?;
        let patience = self.options.timeout.to_std();
        let host = &self.options.host.value;
        match tokio::time::timeout(patience, transport.test_connection()).await {
            Ok(Ok(true)) => Ok(format!("{host} lets us in")),
            Ok(Ok(false)) => Err(Error::Unanswered("it hung up".to_owned())),
            Ok(Err(error)) => Err(refused(&error)),
            Err(_) => Err(Error::Unanswered("it took too long".to_owned())),
        }
    }

    /// The message as it goes over the wire.
    pub fn compose(
        &self,
        id: &NoticeId,
        letter: &Letter,
        to: &Recipient,
        now: DateTime<Utc>,
    ) -> Result<Message> {
        let wrong = |e: &dyn std::error::Error| Error::Message(e.to_string());
        let address: Address = to
            .address
            .parse()
            .map_err(|_| Error::NoAddress(text::line(&to.address)))?;
        let domain = self.from.email.domain();
        let (list_name, list) = letter.list.name();
        let mut message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(to.name.as_deref().map(text::line), address))
            .subject(text::line(&letter.subject))
            .date(now.into())
            .message_id(Some(format!("<{id}@{domain}>")));
        let threads: Vec<String> = letter
            .thread
            .iter()
            .map(|t| format!("<{t}@{domain}>"))
            .collect();
        if let Some(nearest) = threads.last() {
            message = message
                .in_reply_to(nearest.clone())
                .references(threads.join(" "));
        }
        for (name, value) in [
            ("List-Id", format!("{list_name} <{list}.{domain}>")),
            ("Auto-Submitted", "auto-generated".to_owned()),
            ("X-Auto-Response-Suppress", "All".to_owned()),
        ] {
            message = message.raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str(name),
                value,
            ));
        }
        if let Some(address) = &letter.unsubscribe {
            let mailto = format!("<mailto:{}?subject=unsubscribe%20{list}>", self.from.email);
            let both = if address.is_empty() {
                mailto
            } else {
                format!("<{}>, {mailto}", text::line(address))
            };
            message = message.raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("List-Unsubscribe"),
                both,
            ));
            if !address.is_empty() {
                message = message.raw_header(HeaderValue::new(
                    HeaderName::new_from_ascii_str("List-Unsubscribe-Post"),
                    "List-Unsubscribe=One-Click".to_owned(),
                ));
            }
        }
        let parts = MultiPart::alternative()
            .boundary(format!("={id}="))
            .singlepart(SinglePart::plain(letter.text.clone()))
            .singlepart(SinglePart::html(letter.html.clone()));
        message.multipart(parts).map_err(|e| wrong(&e))
    }

    async fn transport(&self) -> Result<Transport> {
        let password = self
            .options
            .password
            .as_ref()
            .map(crate::catalog::secret::Secret::read)
            .transpose()?;
        let mut kept = self.transport.lock().await;
        if let Some((old, transport)) = kept.as_ref()
            && old.as_ref().map(SecretString::expose_secret)
                == password.as_ref().map(SecretString::expose_secret)
        {
            return Ok(transport.clone());
        }
        let transport = Arc::new(self.connect(password.as_ref())?);
        *kept = Some((password, transport.clone()));
        Ok(transport)
    }

    fn connect(
        &self,
        password: Option<&SecretString>,
    ) -> Result<AsyncSmtpTransport<Tokio1Executor>> {
        let host = self.options.host.value.clone();
        let (protection, port) = match self.options.tls {
            Tls::Starttls => (Protection::Required(self.tls()?), 587),
            Tls::Tls => (Protection::Wrapper(self.tls()?), 465),
            Tls::None => (Protection::None, 25),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(self.options.port.unwrap_or(port))
            .tls(protection)
            .timeout(Some(
                self.options
                    .timeout
                    .to_std()
                    .min(std::time::Duration::from_secs(15)),
            ));
        if let (Some(user), Some(password)) = (&self.options.username, password) {
            builder = builder.credentials(Credentials::new(
                user.clone(),
                password.expose_secret().to_owned(),
            ));
        }
        Ok(builder.build())
    }

    fn tls(&self) -> Result<TlsParameters> {
        let mut builder = TlsParameters::builder(self.options.host.value.clone());
        if let Some(path) = &self.options.ca_file {
            let wrong = |what: String| Error::File {
                path: path.display().to_string(),
                what,
            };
            let pem = std::fs::read(path).map_err(|e| wrong(e.to_string()))?;
            builder = builder
                .add_root_certificate(Certificate::from_pem(&pem).map_err(|e| wrong(chain(&e)))?);
        }
        builder.build().map_err(|e| Error::Setup(chain(&e)))
    }
}

/// What a mail server's refusal means. An error after the connection stood may have come after the
/// last dot, so the server may have the message.
fn refused(error: &lettre::transport::smtp::Error) -> Error {
    let what = chain(error);
    if let Some(code) = error.status() {
        let answer =
            std::error::Error::source(error).map(|s| text::clip(&text::line(&s.to_string()), 160));
        return Error::Smtp {
            code: code.into(),
            answer: answer.unwrap_or_default(),
        };
    }
    if error.is_tls() || error.is_client() || error.is_transport_shutdown() {
        Error::Setup(what)
    } else if what.starts_with("Connection error") {
        Error::Connect(what)
    } else {
        Error::Unanswered(what)
    }
}
