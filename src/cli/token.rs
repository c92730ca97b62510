//! `tripline token`: personal tokens, by which the register knows who acts. A token is shown once, when it is made.

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::{Args as Arguments, Subcommand};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::{
    CLEAN, USAGE,
    named::refuse,
    open::Opened,
    out::{Format, Out, column},
    runs::object,
};
use crate::{
    catalog::secret::Secret,
    model::{id::PersonId, people::Principal, span::Span},
    register,
    store::tokens,
};

/// Where a command finds the token of whoever acts: never a flag, which others could read in the list of processes.
const TOKEN: &str = "TRIPLINE_TOKEN";

/// A file with the token.
const TOKEN_FILE: &str = "TRIPLINE_TOKEN_FILE";

/// Personal tokens, by which the register knows who acts.
#[derive(Debug, Clone, Arguments)]
pub struct Args {
    /// Ask as of this instant, of what was collected by then; whatever writes is refused outside a rehearsal.
    #[arg(long, global = true, value_name = "TIME")]
    pub(super) as_of: Option<DateTime<Utc>>,
    /// What to do; without it, they are listed.
    #[command(subcommand)]
    what: Option<What>,
}

/// What to do with tokens.
#[derive(Debug, Clone, Subcommand)]
pub enum What {
    /// List them.
    List,
    /// Make one. It is printed once and kept only as a digest; give it to its person by a safe way.
    Create {
        /// The person.
        person: String,
        /// What it is for, so that it is recognised in the list.
        #[arg(long, value_name = "TEXT", default_value = "command line")]
        name: String,
        /// For how long it is good.
        #[arg(long = "for", value_name = "TIME", default_value = "90d")]
        lasts: Span,
    },
    /// Take one back.
    Revoke {
        /// Its id.
        id: String,
    },
}

/// The longest that a token is good.
const LONGEST: Span = Span::days(365);

impl Args {
    /// Whether something is written.
    pub(super) fn acts(&self) -> bool {
        !matches!(self.what, None | Some(What::List))
    }
}

/// Does what the arguments say.
///
/// # Errors
/// When the store cannot be read or written.
pub(super) async fn run(args: &Args, opened: &Opened, out: &mut Out) -> anyhow::Result<ExitCode> {
    match args.what.as_ref().unwrap_or(&What::List) {
        What::List => list(opened, out).await?,
        What::Create {
            person,
            name,
            lasts,
        } => return create(opened, (person, name), *lasts, out).await,
        What::Revoke { id } => {
            if !register::revoke(&opened.cx, id).await? {
                let said = format!("no token `{id}` is good; `tripline token list` lists them");
                return refuse(USAGE, said);
            }
            out.line(format!(
                "{id} is taken back: nobody can act with it any more."
            ))?;
        }
    }
    Ok(ExitCode::from(CLEAN))
}

async fn create(
    opened: &Opened,
    (person, name): (&str, &str),
    lasts: Span,
    out: &mut Out,
) -> anyhow::Result<ExitCode> {
    let Some(Principal::Person(id)) = opened.set.catalog.directory.find(person) else {
        return refuse(USAGE, format!("`{person}` is no person of `tripline.yaml`"));
    };
    if lasts > LONGEST {
        return refuse(USAGE, format!("a token is good for at most {LONGEST}"));
    }
    let made = match register::issue(&opened.cx, (&id, name), lasts).await {
        Err(register::Error::Refused(refused)) => return refuse(USAGE, refused),
        made => made,
    };
    let (token, secret) = made?;
    match out.format() {
        Format::Table => {
            out.line(secret.expose_secret())?;
            Out::stderr().line(format!(
                "{} acts with this until {}. It is not shown again: put it into a file that only {} can read, and name \
                 that in {TOKEN_FILE}.",
                id,
                token.expires_at.format("%Y-%m-%d"),
                id
            ))?;
        }
        _ => out.json(&json!({
            "id": token.id, "person": id, "token": secret.expose_secret(), "expires_at": token.expires_at,
        }))?,
    }
    Ok(ExitCode::from(CLEAN))
}

async fn list(opened: &Opened, out: &mut Out) -> anyhow::Result<()> {
    let all = tokens::list(&mut opened.store().read().await?).await?;
    let now = opened.now();
    let columns = [
        column("id", "TOKEN"),
        column("person", "PERSON"),
        column("name", "FOR"),
        column("state", "STATE"),
        column("expires_at", "UNTIL"),
    ];
    let rows = all.iter().map(|t| {
        let state = match t.revoked_at {
            Some(_) => "taken back",
            None if now >= t.expires_at => "over",
            None => "good",
        };
        object(json!({
            "id": t.id, "person": t.person, "name": t.name, "state": state, "created_at": t.created_at,
            "expires_at": t.expires_at, "revoked_at": t.revoked_at,
        }))
    });
    out.list(&columns, rows)?;
    Ok(())
}

/// The person whose token the environment or a file holds, or what to say.
pub(super) async fn who(opened: &Opened) -> anyhow::Result<Result<PersonId, String>> {
    let held = Secret::Env(TOKEN.to_owned()).read();
    let named = Secret::Env(TOKEN_FILE.to_owned()).read();
    let secret = match (held, named) {
        (Ok(token), _) => token,
        (_, Ok(path)) => {
            let file = Secret::File(path.expose_secret().into());
            if let Some(unwise) = file.warning() {
                Out::stderr().line(format!("warning: {unwise}"))?;
            }
            match file.read() {
                Ok(token) => token,
                Err(error) => return Ok(Err(format!("{TOKEN_FILE}: {error}"))),
            }
        }
        _ => {
            let say = format!(
                "the register wants to know who acts: put your token into {TOKEN_FILE} (a file) or {TOKEN}; \
                 `tripline token create PERSON` makes one"
            );
            return Ok(Err(say));
        }
    };
    let directory = &opened.set.catalog.directory;
    match register::who(&opened.cx, directory, &secret, opened.present()).await {
        Ok(identity) => Ok(Ok(identity.person)),
        Err(register::Error::Refused(refused)) => Ok(Err(refused.to_string())),
        Err(error) => Err(error.into()),
    }
}
