//! What we know of AWS: where a service is, which protocol it speaks, and which operations may be
//! called. Only operations that read are, and none that gives out a secret's value.

use url::Url;

use crate::connector::error::{Error, Result};

/// A service and how it is spoken to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Service {
    /// Its name in a connector.
    pub name: &'static str,
    /// The first part of its host.
    pub host: &'static str,
    /// The name that requests are signed for.
    pub signing: &'static str,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// Whether there is one for all regions of a partition.
    pub global: bool,
}

/// The protocols of AWS, by what a request is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// JSON 1.1: a POST of JSON; the operation is in the header `X-Amz-Target`, behind this prefix.
    Json(&'static str),
    /// REST: a GET; the connector writes its path.
    Rest,
    /// Query: a POST of a form with this version; the answer is XML.
    Query(&'static str),
}

const fn json(name: &'static str, target: &'static str) -> Service {
    Service {
        name,
        host: name,
        signing: name,
        protocol: Protocol::Json(target),
        global: false,
    }
}

const fn rest(name: &'static str, signing: &'static str) -> Service {
    Service {
        name,
        host: name,
        signing,
        protocol: Protocol::Rest,
        global: false,
    }
}

const fn query(name: &'static str, version: &'static str, global: bool) -> Service {
    Service {
        name,
        host: name,
        signing: name,
        protocol: Protocol::Query(version),
        global,
    }
}

/// The services that are known, with what their published models say.
static SERVICES: &[Service] = &[
    json("secretsmanager", "secretsmanager"),
    Service {
        host: "api.sagemaker",
        ..json("sagemaker", "SageMaker")
    },
    json("kms", "TrentService"),
    json("ssm", "AmazonSSM"),
    json("acm", "CertificateManager"),
    json("config", "StarlingDoveService"),
    json(
        "cloudtrail",
        "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101",
    ),
    json("logs", "Logs_20140328"),
    json("ecs", "AmazonEC2ContainerServiceV20141113"),
    Service {
        host: "api.ecr",
        ..json("ecr", "AmazonEC2ContainerRegistry_V20150921")
    },
    json("tagging", "ResourceGroupsTaggingAPI_20170126"),
    Service {
        global: true,
        ..json("organizations", "AWSOrganizationsV20161128")
    },
    query("iam", "2010-05-08", true),
    query("sts", "2011-06-15", false),
    query("rds", "2014-10-31", false),
    rest("bedrock", "bedrock"),
    rest("bedrock-agent", "bedrock"),
    rest("lambda", "lambda"),
    rest("eks", "eks"),
    rest("access-analyzer", "access-analyzer"),
];

/// How the names of operations begin that only read.
const READS: &[&str] = &["List", "Describe", "Get", "BatchGet", "Search", "Lookup"];

/// Operations that begin like that and give out a secret, or the right to something.
const SECRETS: &[&str] = &[
    "GetSecretValue",
    "BatchGetSecretValue",
    "GetRandomPassword",
    "GetParameter",
    "GetParameters",
    "GetParametersByPath",
    "GetParameterHistory",
    "GetPasswordData",
    "GetSessionToken",
    "GetFederationToken",
    "GetAuthorizationToken",
    "GetCredentialsForIdentity",
];

/// An operation of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Operation<'a> {
    /// The service.
    pub service: &'static Service,
    /// Its name; for REST, the path of a GET.
    pub name: &'a str,
}

impl std::fmt::Display for Operation<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.service.protocol {
            Protocol::Rest => write!(f, "{}.GET {}", self.service.name, self.name),
            _ => write!(f, "{}.{}", self.service.name, self.name),
        }
    }
}

impl<'a> Operation<'a> {
    /// Reads `secretsmanager.ListSecrets`, or for a service that speaks REST `bedrock.GET /custom-models`.
    pub(super) fn parse(text: &'a str) -> Result<Self> {
        let refused = |why: String| Err(Error::Settings(format!("`call: {text}`: {why}")));
        let Some((service, name)) = text.split_once('.') else {
            return refused("write `service.Operation`".to_owned());
        };
        let Some(service) = SERVICES.iter().find(|s| s.name == service) else {
            let known: Vec<&str> = SERVICES.iter().map(|s| s.name).collect();
            return refused(format!(
                "`{service}` is none of the services that are known: {}",
                known.join(", ")
            ));
        };
        if service.protocol == Protocol::Rest {
            return match name.strip_prefix("GET ") {
                Some(path) if path.starts_with('/') => Ok(Self {
                    service,
                    name: path,
                }),
                _ => refused(format!(
                    "`{}` speaks REST: write `{}.GET /path`",
                    service.name, service.name
                )),
            };
        }
        if SECRETS.contains(&name) {
            return refused("it gives out a secret".to_owned());
        }
        if !READS.iter().any(|r| name.starts_with(r))
            || !name.bytes().all(|b| b.is_ascii_alphanumeric())
        {
            return refused("it is not an operation that only reads".to_owned());
        }
        Ok(Self { service, name })
    }
}

/// Taking a role is no reading, and is called by nothing but the part that finds our keys.
pub(super) fn assume_role() -> Option<Operation<'static>> {
    let service = SERVICES.iter().find(|s| s.name == "sts")?;
    Some(Operation {
        service,
        name: "AssumeRole",
    })
}

impl Service {
    /// The region that requests are signed for.
    pub(super) fn signing_region<'r>(&self, region: &'r str) -> &'r str {
        match region {
            _ if !self.global => region,
            r if r.starts_with("cn-") => "cn-north-1",
            r if r.starts_with("us-gov-") => "us-gov-west-1",
            _ => "us-east-1",
        }
    }

    /// The address of the service for a region; `endpoint` takes its place where it is set.
    pub(super) fn address(&self, region: &str, endpoint: Option<&Url>) -> Result<Url> {
        if let Some(endpoint) = endpoint {
            return Ok(endpoint.clone());
        }
        // A region becomes part of a host: only what a region looks like may.
        if region.is_empty()
            || !region
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
        {
            return Err(Error::Settings(format!("`{region}` is not a region")));
        }
        let suffix = if region.starts_with("cn-") {
            "amazonaws.com.cn"
        } else {
            "amazonaws.com"
        };
        let host = self.host;
        let address = match (self.name, region) {
            ("iam", r) if r.starts_with("cn-") => format!("https://iam.cn-north-1.{suffix}/"),
            ("iam", r) if r.starts_with("us-gov-") => format!("https://iam.us-gov.{suffix}/"),
            ("iam", _) => format!("https://iam.{suffix}/"),
            _ => format!("https://{host}.{}.{suffix}/", self.signing_region(region)),
        };
        Url::parse(&address).map_err(|e| Error::Settings(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_operations_that_read_are_called_and_none_that_gives_out_a_secret() {
        for fine in [
            "secretsmanager.ListSecrets",
            "sagemaker.DescribeModelCard",
            "iam.GetAccessKeyLastUsed",
            "bedrock.GET /custom-models",
        ] {
            assert!(Operation::parse(fine).is_ok(), "{fine}");
        }
        let why = |text: &str| Operation::parse(text).unwrap_err().to_string();
        insta::assert_snapshot!(why("secretsmanager.GetSecretValue"), @"`call: secretsmanager.GetSecretValue`: it gives out a secret");
        insta::assert_snapshot!(why("secretsmanager.DeleteSecret"), @"`call: secretsmanager.DeleteSecret`: it is not an operation that only reads");
        insta::assert_snapshot!(why("sts.AssumeRole"), @"`call: sts.AssumeRole`: it is not an operation that only reads");
        insta::assert_snapshot!(why("iam.List&Action=DeleteUser"), @"`call: iam.List&Action=DeleteUser`: it is not an operation that only reads");
        insta::assert_snapshot!(why("bedrock.POST /custom-models"), @"`call: bedrock.POST /custom-models`: `bedrock` speaks REST: write `bedrock.GET /path`");
        insta::assert_snapshot!(why("ListSecrets"), @"`call: ListSecrets`: write `service.Operation`");
        insta::assert_snapshot!(why("s3.ListBuckets"), @"`call: s3.ListBuckets`: `s3` is none of the services that are known: secretsmanager, sagemaker, kms, ssm, acm, config, cloudtrail, logs, ecs, ecr, tagging, organizations, iam, sts, rds, bedrock, bedrock-agent, lambda, eks, access-analyzer");
        for secret in SECRETS {
            assert!(Operation::parse(&format!("ssm.{secret}")).is_err());
        }
    }

    #[test]
    fn a_service_has_its_address_and_its_region() {
        let at = |name: &str, region: &str| {
            let service = SERVICES.iter().find(|s| s.name == name).unwrap();
            let address = service.address(region, None).unwrap();
            format!(
                "{} {}",
                address.host_str().unwrap(),
                service.signing_region(region)
            )
        };
        assert_eq!(
            at("secretsmanager", "eu-west-1"),
            "secretsmanager.eu-west-1.amazonaws.com eu-west-1"
        );
        assert_eq!(
            at("sagemaker", "eu-west-1"),
            "api.sagemaker.eu-west-1.amazonaws.com eu-west-1"
        );
        assert_eq!(at("iam", "eu-west-1"), "iam.amazonaws.com us-east-1");
        assert_eq!(
            at("iam", "us-gov-east-1"),
            "iam.us-gov.amazonaws.com us-gov-west-1"
        );
        assert_eq!(
            at("sts", "cn-northwest-1"),
            "sts.cn-northwest-1.amazonaws.com.cn cn-northwest-1"
        );
        assert_eq!(
            at("organizations", "eu-west-1"),
            "organizations.us-east-1.amazonaws.com us-east-1"
        );
        let sts = SERVICES.iter().find(|s| s.name == "sts").unwrap();
        assert!(sts.address("evil.test/", None).is_err());
    }
}
