//! `tripline demo`: a small company that does not exist, with a model registry, a secret store and a vendor
//! registry that answer on loopback as real ones did when they were recorded. Plays sixty past days, says
//! what happened, and stays up as a daemon. Needs no network and no set-up.

pub mod answers;
pub mod company;
mod files;
mod office;
mod play;
mod post;
mod time;
mod year;

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context as _;
use clap::Args as Arguments;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::{
    answers::{Recorded, Systems},
    company::Company,
    files::Addresses,
    play::{Stage, Tally},
    post::Post,
    time::DemoClock,
};
use super::out::{Ink, Out};
use crate::{
    clock::{Clock as _, SystemClock},
    config::{self, Loaded, overrides::Overrides},
    daemon::{
        serve,
        signing::Signer,
        wire::{self, Wired},
    },
    yaml::decode,
};

/// Watch a small fictional company for sixty past days, then go on as a daemon. Needs no set-up.
#[derive(Debug, Clone, Arguments)]
pub struct Args {
    /// Where the demo's files, evidence and mails go; a folder of a demo before is replaced.
    #[arg(long, value_name = "FOLDER")]
    at: Option<PathBuf>,
    /// How many past days are played.
    #[arg(long, value_name = "N", default_value_t = 60)]
    days: u64,
    /// End when the days are played, in place of going on as a daemon.
    #[arg(long)]
    once: bool,
}

/// A file that only a demo's folder has, so that nothing else is ever replaced.
const MARK: &str = ".tripline-demo";

/// Plays the demo.
///
/// # Errors
/// The folder cannot be written, or something of Tripline fails.
pub async fn run(args: &Args, out: &mut Out) -> anyhow::Result<ExitCode> {
    let folder = args
        .at
        .clone()
        .unwrap_or_else(|| std::env::temp_dir().join("tripline-demo"));
    prepare(&folder)?;
    let clock = DemoClock::default();
    let post = Post::open(&folder.join("mails"))?;
    let systems = systems(&clock)?;
    let at = listen(&systems, &post).await?;
    files::write(&folder, at)?;

    out.line(format!(
        "Harbour Bank is a small company that does not exist. Its files are in {}.",
        folder.display()
    ))?;
    let said = format!(
        "Playing its last {} days; only what changes is printed.\n",
        args.days
    );
    out.line(said)?;
    let stage = stage(&folder, &clock, systems).await?;
    let tally = stage.play(args.days, out).await?;
    stage.cx.store.close().await;
    conclude(&folder, &tally, post.taken(), out)?;
    if args.once {
        return Ok(ExitCode::SUCCESS);
    }
    out.line("\nNow it goes on as a daemon, until you press Ctrl-C.")?;
    clock.let_go();
    let stop = CancellationToken::new();
    let origin = serve::Origin {
        path: folder.clone(),
        given: Overrides::default(),
    };
    serve::serve(load(&folder)?, Some(origin), Arc::new(clock), stop).await?;
    Ok(ExitCode::SUCCESS)
}

/// An empty folder for the demo. One that holds anything but a demo is left alone.
fn prepare(folder: &Path) -> anyhow::Result<()> {
    let is_there = folder.exists();
    let holds = is_there && fs::read_dir(folder)?.next().is_some();
    if holds && !folder.join(MARK).exists() {
        anyhow::bail!(
            "{} holds something that is not a demo; name an empty folder with --at",
            folder.display()
        );
    }
    if is_there {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    fs::write(folder.join(MARK), "replaced by the next demo\n")?;
    Ok(())
}

/// The company's systems, as they are on the day that the clock shows.
fn systems(clock: &DemoClock) -> anyhow::Result<Arc<Systems>> {
    let text = include_str!("../../../demo/company.yaml");
    let read = decode::read::<Company>(Path::new("demo/company.yaml"), text);
    let (company, _) = read.map_err(|problems| {
        let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("{}", said.join("\n"))
    })?;
    Ok(Arc::new(Systems {
        company,
        today: SystemClock.now(),
        clock: Arc::new(clock.clone()),
        recorded: Recorded::shipped()?,
    }))
}

/// Lets the systems and the post office listen on loopback.
async fn listen(systems: &Arc<Systems>, post: &Arc<Post>) -> anyhow::Result<Addresses> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let (http, mail) = (TcpListener::bind(any).await?, TcpListener::bind(any).await?);
    let at = Addresses {
        systems: http.local_addr()?,
        mail: mail.local_addr()?,
    };
    let router = answers::router(systems.clone());
    tokio::spawn(async move {
        if let Err(error) = axum::serve(http, router).await {
            tracing::error!(%error, "the demo's systems ended");
        }
    });
    tokio::spawn(post.clone().serve(mail));
    Ok(at)
}

fn load(folder: &Path) -> anyhow::Result<Loaded> {
    config::load(folder, &Overrides::default()).map_err(|problems| {
        let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("the demo's own files have mistakes:\n{}", said.join("\n"))
    })
}

async fn stage(folder: &Path, clock: &DemoClock, systems: Arc<Systems>) -> anyhow::Result<Stage> {
    let loaded = load(folder)?;
    let wired = wire::wire(loaded, Arc::new(clock.clone()), CancellationToken::new()).await?;
    let Wired {
        cx, set, config, ..
    } = wired;
    let delivery = wire::delivery(&cx, &config)?;
    let signer = Signer::open(&cx.store, &config).await?;
    Ok(Stage {
        cx,
        set: Arc::new(set),
        delivery,
        signer,
        clock: clock.clone(),
        systems,
        vendors: folder.join("vendors.csv"),
    })
}

fn conclude(folder: &Path, tally: &Tally, mails: u64, out: &mut Out) -> anyhow::Result<()> {
    let folder = folder.display();
    let heading = out.ink(Ink::Good, "That was it.");
    out.line(format!(
        "\n{heading} {} runs, {} of which could check nothing; {} findings opened, {} opened again, {} resolved; \
         {mails} mails.",
        tally.runs, tally.not_checked, tally.opened, tally.reopened, tally.resolved
    ))?;
    out.line("\nLook around, in another terminal:")?;
    for (command, what) in [
        (
            format!("tripline -c {folder} findings"),
            "what deviates today",
        ),
        (
            format!("tripline -c {folder} controls"),
            "what is watched, and how it stands",
        ),
        (
            format!("tripline -c {folder} sources"),
            "what is read, and whether it is whole",
        ),
        (
            format!("tripline -c {folder} runs"),
            "what was checked, and when",
        ),
        (
            format!("tripline -c {folder} exception list --all"),
            "what may deviate; `exception show` tells its story",
        ),
        (
            format!("tripline -c {folder} signals"),
            "where the policy itself may be wrong; `signals show` and `what-if` go on",
        ),
        (
            format!("tripline -c {folder} report trend --format html --into {folder}/report"),
            "a page for those who lead policies",
        ),
        (format!("ls {folder}/mails"), "what people were told"),
        (
            format!("ls {folder}/controls"),
            "the controls; change one, it is taken at once",
        ),
    ] {
        out.line(format!("  {command:<48}  {what}"))?;
    }
    Ok(())
}
