//! `evidence:` in `tripline.yaml`: where snapshots are kept and for how long.

use std::path::PathBuf;

use serde_json::{Map, Value, json};
use url::Url;

use crate::{
    catalog::secret::Secret,
    model::span::Span,
    record,
    yaml::{
        decode::{Cx, Decode},
        diagnostic::Diagnostic,
        tree::{Kind, Node},
    },
};

/// Where snapshots are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Home {
    /// A folder on this machine.
    Folder(PathBuf),
    /// A bucket of an S3-compatible object store, `s3://bucket/prefix`.
    Bucket {
        /// The bucket.
        bucket: String,
        /// The path before each object; empty for none.
        prefix: String,
    },
}

impl Default for Home {
    fn default() -> Self {
        Self::Folder("data/evidence".into())
    }
}

impl Decode for Home {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        let text = String::decode(node, cx)?;
        let Some((scheme, rest)) = text.split_once("://") else {
            return PathBuf::decode(node, cx).map(Self::Folder);
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if scheme != "s3" || bucket.is_empty() {
            let what = format!("`{text}` is not a place for evidence");
            return cx.wrong(
                Diagnostic::error("TL0601", &node.place, what)
                    .help("write a folder such as `data/evidence`, or `s3://bucket/prefix`"),
            );
        }
        Some(Self::Bucket {
            bucket: bucket.to_owned(),
            prefix: prefix.trim_matches('/').to_owned(),
        })
    }

    fn schema(_: &mut Map<String, Value>) -> Value {
        json!({ "type": "string" })
    }
}

record! {
    /// Where snapshots are kept and for how long.
    pub struct Settings {
        /// A folder, or `s3://bucket/prefix`.
        at: Home = Home::default(),
        /// For `s3://`: the address of the object store, when it is not that of AWS.
        endpoint: Option<Url>,
        /// For `s3://`: the region.
        region: Option<String>,
        /// For `s3://`: the id of the access key; without it the usual chain of AWS is asked.
        access_key: Option<Secret>,
        /// For `s3://`: the secret of the access key.
        secret_key: Option<Secret>,
        /// How long a snapshot is kept after its collection, whatever refers to it.
        keep: Span = Span::days(400),
        /// How many of the newest whole snapshots of a dataset are kept however old they are, at least 1.
        keep_last: u32 = 2,
    }
    check(together)
}

fn together(settings: &Settings, node: &Node, cx: &mut Cx) {
    if settings.access_key.is_some() != settings.secret_key.is_some() {
        let what = "an access key has two parts: `access_key` and `secret_key`";
        cx.out.push(Diagnostic::error("TL0601", &node.place, what));
    }
    if settings.keep_last == 0 {
        let what = "`keep_last` is at least 1: the next collection is compared with the last one";
        cx.out.push(Diagnostic::error("TL0601", &node.place, what));
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            at: Home::default(),
            endpoint: None,
            region: None,
            access_key: None,
            secret_key: None,
            keep: Span::days(400),
            keep_last: 2,
        }
    }
}

/// `evidence:`: just the place, or the place with its settings.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Options(pub Settings);

impl Options {
    /// A folder on this machine, with the defaults for all else.
    pub fn folder(path: impl Into<PathBuf>) -> Self {
        Self(Settings {
            at: Home::Folder(path.into()),
            ..Settings::default()
        })
    }
}

impl Decode for Options {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        if let Kind::Map(_) = &node.kind {
            return Settings::decode(node, cx).map(Self);
        }
        let at = Home::decode(node, cx)?;
        Some(Self(Settings {
            at,
            ..Settings::default()
        }))
    }

    fn schema(defs: &mut Map<String, Value>) -> Value {
        json!({ "anyOf": [Home::schema(defs), Settings::schema(defs)] })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::yaml::decode::read;

    fn parse(text: &str) -> Result<Settings, String> {
        read::<Options>(Path::new("tripline.yaml"), text)
            .map(|(options, _)| options.0)
            .map_err(|wrong| wrong[0].to_string())
    }

    #[test]
    fn evidence_is_a_folder_or_a_bucket() {
        let folder = parse("data/evidence").unwrap();
        assert_eq!(folder.at, Home::default());
        assert_eq!(folder.keep, Span::days(400));
        let bucket =
            parse("{ at: s3://evidence/tripline/, region: eu-west-1, keep: 30d }").unwrap();
        assert_eq!(
            bucket.at,
            Home::Bucket {
                bucket: "evidence".to_owned(),
                prefix: "tripline".to_owned()
            }
        );
        assert_eq!(bucket.keep, Span::days(30));
    }

    #[test]
    fn mistakes_in_it_are_told() {
        insta::assert_snapshot!(parse("gs://bucket").unwrap_err(), @"TL0601 tripline.yaml:1:1: `gs://bucket` is not a place for evidence; write a folder such as `data/evidence`, or `s3://bucket/prefix`");
        insta::assert_snapshot!(parse("{ at: x, access_key: { env: A } }").unwrap_err(), @"TL0601 tripline.yaml:1:1: an access key has two parts: `access_key` and `secret_key`");
        insta::assert_snapshot!(parse("{ at: x, keep_last: 0 }").unwrap_err(), @"TL0601 tripline.yaml:1:1: `keep_last` is at least 1: the next collection is compared with the last one");
    }
}
