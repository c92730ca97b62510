//! The files of the demo's installation: shipped ones, taken into the program when it is built, so that the
//! demo runs anywhere.

use std::{fs, io, path::Path};

/// Names a shipped file with its text.
macro_rules! shipped {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../../", $path)))),*]
    };
}

/// Every control that reads a system of the demo, the policies that they serve, and the connectors.
pub(super) const FILES: &[(&str, &str)] = shipped![
    "connectors/aws-secrets-manager.yaml",
    "connectors/mlflow.yaml",
    "connectors/tripline.yaml",
    "connectors/vendors-csv.yaml",
    "controls/agents/tool-not-allowed.yaml",
    "controls/exceptions/debt.yaml",
    "controls/exceptions/orphaned.yaml",
    "controls/exceptions/overdue.yaml",
    "controls/exceptions/renewed.yaml",
    "controls/exceptions/suspended.yaml",
    "controls/exceptions/too-long-for-its-risk.yaml",
    "controls/exceptions/unclosed.yaml",
    "controls/exceptions/unreviewed.yaml",
    "controls/models/card-missing.yaml",
    "controls/models/environment-wrong.yaml",
    "controls/models/lineage-missing.yaml",
    "controls/models/secret-unregistered.yaml",
    "controls/models/unapproved.yaml",
    "controls/models/unclassified.yaml",
    "controls/models/unvalidated.yaml",
    "controls/secrets/deleted-in-use.yaml",
    "controls/secrets/rotation-overdue.yaml",
    "controls/secrets/unowned.yaml",
    "controls/secrets/unused.yaml",
    "controls/vendors/certificate-lapsed.yaml",
    "controls/vendors/contract-lapsed.yaml",
    "controls/vendors/review-overdue.yaml",
    "controls/vendors/unowned.yaml",
    "controls/vendors/unregistered.yaml",
    "policies/ai-agents.yaml",
    "policies/model-governance.yaml",
    "policies/nhi-credentials.yaml",
    "policies/policy-exceptions.yaml",
    "policies/third-party-ai.yaml",
];

/// The settings, with the addresses of the demo's systems still to be filled in.
const SETTINGS: &str = include_str!("../../../demo/tripline.yaml");

/// Where the demo's systems listen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Addresses {
    /// MLflow and AWS.
    pub(super) systems: std::net::SocketAddr,
    /// The post office.
    pub(super) mail: std::net::SocketAddr,
}

/// Writes the installation into a folder.
pub(super) fn write(folder: &Path, at: Addresses) -> io::Result<()> {
    for (path, text) in FILES {
        let to = folder.join(path);
        fs::create_dir_all(to.parent().unwrap_or(folder))?;
        fs::write(to, text)?;
    }
    fs::create_dir_all(folder.join("data"))?;
    let secret = folder.join("data/not-a-secret");
    fs::write(&secret, "this opens nothing")?;
    only_ours(&secret)?;
    let register = folder.join("data/register");
    let store = folder.join("data/tripline.db");
    fs::write(&register, format!("sqlite:{}", store.display()))?;
    only_ours(&register)?;
    let settings = SETTINGS
        .replace(
            "SYSTEMS and MAIL are where its systems listen.",
            "Its systems end with it.",
        )
        .replace("SYSTEMS", &at.systems.to_string())
        .replace("MAIL", &at.mail.port().to_string());
    fs::write(folder.join("tripline.yaml"), settings)
}

fn only_ours(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The demo shows every shipped control that its systems can answer.
    #[test]
    fn no_shipped_control_is_forgotten() {
        let ours: BTreeSet<&str> = FILES.iter().map(|(path, _)| *path).collect();
        for entry in glob::glob("controls/**/*.yaml").unwrap() {
            let path = entry.unwrap();
            let text = fs::read_to_string(&path).unwrap();
            let elsewhere = ["iam.", "sagemaker."].iter().any(|s| text.contains(s));
            assert_eq!(
                !elsewhere,
                ours.contains(path.to_str().unwrap()),
                "{}",
                path.display()
            );
        }
    }
}
