//! The kind `aws`: one operation, in each region, page after page. Signed with Signature Version 4
//! over the same wire as the kind `http`. Reads only: which operations may be called is in
//! [`service`], and none of them gives out a secret.

mod keys;
mod service;
mod speak;

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use http::HeaderMap;
use serde_json::{Map, Value, json};
use url::Url;

use self::{keys::Keys, service::Operation, speak::Call};
use super::{
    Asking, Confirmed, Meter, Read, Reader, Sink,
    error::{Error, Result},
    http::{
        Means,
        pages::{Pages, Seen, declared},
        tape::{Line, Tape},
        warning,
        wire::{Answer, Answered, Fault, Handling, Limits, Outgoing, Signer, Wire},
    },
    redact::Scrub,
    rows,
    settings::{Into, Parent, Settings},
    tls,
};
use crate::catalog::{
    connector::{Ask, dataset::ConfirmGone, http::Probe, kinds::Aws},
    source::Source,
};

/// The name under which columns find the region and the account: `from: aws.region`.
const BESIDE: &str = "aws";

/// One account, in the regions that a source names.
#[derive(Debug)]
pub struct Account {
    wire: Wire,
    keys: Keys,
    settings: Settings,
    regions: Vec<String>,
    endpoint: Option<Url>,
    /// The number of the account, once somebody told.
    number: Mutex<Option<String>>,
}

impl Account {
    /// Makes ready to read a source: reads its secrets, settles its addresses, builds its client.
    pub fn open(aws: &Aws, source: &Source, means: Means<'_>) -> Result<Self> {
        let settings = Settings::read(source)?;
        let regions = settings.list(&aws.regions);
        let Some(first) = regions.first().cloned() else {
            return Err(Error::Settings("there is no region to ask".to_owned()));
        };
        let endpoint = match &aws.endpoint {
            None => None,
            Some(template) => settings.text(template, &[], Into::Address)?,
        };
        let endpoint = endpoint
            .map(|e| Url::parse(&e).map_err(|e| Error::Settings(format!("`endpoint`: {e}"))))
            .transpose()?;
        let limits = Limits {
            timeout: source
                .timeout
                .clone()
                .unwrap_or_else(|| aws.timeout.clone()),
            rate: source.rate.clone().unwrap_or_else(|| aws.rate.clone()),
            retry: source.retry.clone().unwrap_or_else(|| aws.retry.clone()),
            max_body: aws.max_body,
            hosts: hosts(source, &regions, endpoint.as_ref())?,
        };
        let client = tls::client(source.tls.as_ref().unwrap_or(&aws.tls), &limits.timeout)?;
        let scrub = || Scrub::new(settings.secrets());
        let keys = Keys::new(aws, &settings, &first, endpoint.as_ref(), || {
            Ok(Wire::new(
                Line::new(&Tape::Off, client.clone())?,
                limits.clone(),
                scrub(),
            ))
        })?;
        let wire = Wire::new(
            Line::new(means.tape, client.clone())?,
            limits.clone(),
            scrub(),
        );
        Ok(Self {
            wire,
            keys,
            regions,
            endpoint,
            number: Mutex::new(None),
            settings,
        })
    }

    /// The regions to ask for a dataset: that of the parent row, where there is one.
    fn regions(&self, operation: Operation<'_>, asking: Asking<'_>) -> Result<Vec<&str>> {
        if operation.service.global || self.regions.len() == 1 {
            return Ok(self
                .regions
                .first()
                .map(String::as_str)
                .into_iter()
                .collect());
        }
        let Some(each) = &asking.dataset.each else {
            return Ok(self.regions.iter().map(String::as_str).collect());
        };
        let of_parent = asking
            .parents
            .iter()
            .find_map(|p| p.row.get("region")?.as_str());
        let known = of_parent.and_then(|region| self.regions.iter().find(|r| *r == region));
        known.map(|region| vec![region.as_str()]).ok_or_else(|| {
            Error::Settings(format!(
                "`{}` is asked for in the region of its row of `{}`, which does not name one: add the column `region: {{ type: text, from: aws.region }}` there",
                asking.dataset.name, each.of.value
            ))
        })
    }

    /// Reads a list in one region, from its first page to its last.
    async fn list(
        &self,
        call: Call<'_>,
        asking: Asking<'_>,
        sink: &mut dyn Sink,
        read: &mut Read,
    ) -> Result<()> {
        let dataset = asking.dataset;
        let mut pages = Pages::new(&dataset.page);
        let mut turn = pages.first();
        loop {
            let mut body = self.body(asking)?;
            let mut address = call
                .operation
                .service
                .address(call.region, self.endpoint.as_ref())?;
            turn.apply(&mut address, &mut body, &mut HeaderMap::new());
            let body = body.unwrap_or_else(|| Value::Object(Map::new()));
            let request = speak::request(call, address, &body)?;
            let signer = Signed {
                call,
                keys: &self.keys,
            };
            let how = Handling {
                signer: &signer,
                responses: &dataset.responses,
                meter: asking.meter,
            };
            let answer = match self.wire.send(&request, how).await? {
                Answered::Ok(answer) => answer,
                Answered::Empty => return Ok(()),
                Answered::Gone => {
                    read.gone = true;
                    return Ok(());
                }
            };
            asking.meter.page();
            let document = speak::document(call.operation, &answer)?;
            let next = {
                let garbage = |what| Error::Garbage {
                    at: answer.at.clone(),
                    what,
                };
                let found = rows::locate(&dataset.rows, &document).map_err(garbage)?;
                if let Some(total) = dataset
                    .complete
                    .total
                    .as_ref()
                    .and_then(|t| declared(t, &document, &answer.headers))
                {
                    read.total = Some(read.total.unwrap_or_default() + total);
                }
                let warnings = dataset.complete.warnings.as_ref();
                read.warnings
                    .extend(warnings.and_then(|w| warning(w.first(&document)?, self.wire.scrub())));
                let seen = Seen {
                    document: &document,
                    headers: &answer.headers,
                    url: &answer.url,
                    rows: found.len(),
                    last: found.last(),
                };
                pages.next(seen).map_err(|what| Error::Paging {
                    at: answer.at.clone(),
                    what,
                })?
            };
            sink.page(document, vec![self.beside(call.region)])?;
            match next {
                Some(next) => turn = next,
                None => break,
            }
        }
        read.drifts |= pages.drifts() && read.total.is_none();
        Ok(())
    }

    fn body(&self, asking: Asking<'_>) -> Result<Option<Value>> {
        match &asking.dataset.ask {
            Ask::Call {
                body: Some(body), ..
            } => self.settings.body(body, asking.parents),
            _ => Ok(None),
        }
    }

    fn beside(&self, region: &str) -> Parent {
        let number = self
            .number
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        Parent {
            alias: BESIDE.to_owned(),
            row: json!({ "region": region, "account": number }),
        }
    }
}

#[async_trait]
impl Reader for Account {
    /// Who we are is asked for without any right, and kept to see when it changes. A network from which
    /// only some services are reached does not tell; then nobody knows.
    async fn prove(&self, _: &[Probe], meter: &Meter) -> Result<Option<String>> {
        let operation = Operation::parse("sts.GetCallerIdentity")?;
        let region = self.regions.first().map_or("", String::as_str);
        let call = Call { operation, region };
        let address = operation.service.address(region, self.endpoint.as_ref())?;
        let request = speak::request(call, address, &Value::Object(Map::new()))?;
        let signer = Signed {
            call,
            keys: &self.keys,
        };
        let how = Handling {
            signer: &signer,
            responses: &[],
            meter,
        };
        let answer = match self.wire.send(&request, how).await {
            Ok(Answered::Ok(answer)) => answer,
            Ok(Answered::Empty | Answered::Gone) => return Ok(None),
            Err(Error::Refused { hint, .. }) if hint.starts_with(": AccessDenied") => {
                return Ok(None);
            }
            Err(error) if error.is_transient() => return Ok(None),
            Err(error) => return Err(error),
        };
        let document = speak::document(operation, &answer)?;
        let text = |name: &str| document.get(name).and_then(Value::as_str);
        if let Some(account) = text("Account") {
            let mut number = self.number.lock().unwrap_or_else(PoisonError::into_inner);
            *number = Some(account.to_owned());
        }
        Ok(text("Arn").map(without_session))
    }

    async fn read(&self, asking: Asking<'_>, sink: &mut dyn Sink) -> Result<Read> {
        let Ask::Call { operation, .. } = &asking.dataset.ask else {
            return Err(Error::Settings(format!(
                "`{}` is not read with `call`",
                asking.dataset.name
            )));
        };
        let operation = Operation::parse(operation)?;
        let mut read = Read::default();
        for region in self.regions(operation, asking)? {
            let call = Call { operation, region };
            self.list(call, asking, sink, &mut read).await?;
        }
        Ok(read)
    }

    async fn confirm(&self, _: &ConfirmGone, _: &Parent, _: &Meter) -> Result<Confirmed> {
        Err(Error::Settings(
            "AWS is not asked for one row that is gone".to_owned(),
        ))
    }
}

/// A role that is taken has another session each time, and is the same all the same.
fn without_session(arn: &str) -> String {
    match arn.split_once(":assumed-role/") {
        Some((before, role)) => {
            let role = role.split('/').next().unwrap_or_default();
            format!("{before}:assumed-role/{role}")
        }
        None => arn.to_owned(),
    }
}

/// Signs for one operation in one region.
struct Signed<'a> {
    call: Call<'a>,
    keys: &'a Keys,
}

#[async_trait]
impl Signer for Signed<'_> {
    async fn sign(&self, request: &mut Outgoing) -> Result<()> {
        self.keys.sign(request, self.call).await
    }

    async fn forget(&self) -> bool {
        self.keys.forget().await
    }

    fn fault(&self, answer: &Answer) -> Option<Fault> {
        speak::fault(answer)
    }
}

/// The hosts of every operation that the connector calls, in every region.
fn hosts(source: &Source, regions: &[String], endpoint: Option<&Url>) -> Result<Vec<String>> {
    let mut operations = vec![Operation::parse("sts.GetCallerIdentity")?];
    for dataset in &source.connector.datasets {
        if let Ask::Call { operation, .. } = &dataset.ask {
            operations.push(Operation::parse(operation)?);
        }
    }
    let mut hosts = Vec::new();
    for operation in operations {
        for region in regions {
            let address = operation.service.address(region, endpoint)?;
            let host = address.host_str().unwrap_or_default();
            hosts.push(
                address
                    .port()
                    .map_or_else(|| host.to_owned(), |p| format!("{host}:{p}")),
            );
        }
    }
    hosts.sort();
    hosts.dedup();
    Ok(hosts)
}
