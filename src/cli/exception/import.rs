//! `tripline exception import`: drafts out of what other tools have, each with what it lacks.

use std::{fs, path::PathBuf, process::ExitCode};

use clap::Args as Arguments;
use serde_json::json;

use super::{refuse, refused};
use crate::{
    catalog::import::{self, From},
    cli::{
        CLEAN, USAGE,
        open::Opened,
        out::{Format, Out, column, counted},
        runs::object,
    },
    model::policy::ProvisionRef,
    register,
};

/// What to take over from where.
#[derive(Debug, Clone, Arguments)]
pub struct Args {
    /// Whose file it is: `prowler`, `azure` or `ciso-assistant`.
    #[arg(long, value_name = "TOOL")]
    from: From,
    /// The clause that is deviated from, `policy#provision`.
    #[arg(long, value_name = "CLAUSE")]
    policy: String,
    /// The control that fails because of it.
    #[arg(long, value_name = "ID")]
    control: Option<String>,
    /// Where the drafts go, one file each; files that are there are left alone.
    #[arg(long, value_name = "FOLDER")]
    into: PathBuf,
    /// The file.
    file: PathBuf,
}

/// Takes them over.
pub(super) async fn run(opened: &Opened, args: &Args, out: &mut Out) -> anyhow::Result<ExitCode> {
    let Ok(provision) = args.policy.parse::<ProvisionRef>() else {
        return refuse(
            USAGE,
            format!("`{}` is no clause: write `policy#provision`", args.policy),
        );
    };
    let text = match fs::read_to_string(&args.file) {
        Ok(text) => text,
        Err(error) => return refuse(USAGE, format!("{}: {error}", args.file.display())),
    };
    let drafts = match import::read(args.from, &text, &provision) {
        Ok(drafts) => drafts,
        Err(said) => return refuse(USAGE, format!("{}: {said}", args.file.display())),
    };
    fs::create_dir_all(&args.into)?;
    let mut rows = Vec::new();
    for (n, mut draft) in (1..).zip(drafts) {
        draft.request.controls.extend(args.control.clone());
        let looked = match register::preview(&opened.cx, &opened.set, &draft.request).await {
            Ok(looked) => looked,
            Err(error) => return refused(error),
        };
        let path = args.into.join(format!("{}-{n:03}.yaml", args.from));
        if path.exists() {
            return refuse(USAGE, format!("{} is there already", path.display()));
        }
        fs::write(&path, draft.yaml())?;
        let lacks: Vec<&str> = looked.lacks.iter().map(|l| l.field.as_str()).collect();
        rows.push(object(json!({
            "file": path, "title": draft.name, "lacks": lacks, "left_out": draft.left_out,
            "missing": looked.lacks,
        })));
    }
    let count = rows.len() as u64;
    out.list(
        &[
            column("file", "DRAFT"),
            column("title", "TITLE"),
            column("lacks", "LACKS"),
        ],
        rows,
    )?;
    if out.format() == Format::Table {
        out.line(format!(
            "{}. None of them covers anything: complete each and hand it in with `tripline exception submit`.",
            counted(count, "draft")
        ))?;
    }
    Ok(ExitCode::from(CLEAN))
}
