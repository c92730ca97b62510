//! PostgreSQL as a client. Values are read from the wire by us, so that numbers of any size,
//! infinite dates and types of the database's own keep their meaning instead of failing the read.

use std::{fmt::Write as _, str::FromStr as _, time::Duration};

use futures::TryStreamExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{
    AssertSqlSafe, Column as _, ConnectOptions as _, Connection as _, Executor as _, PgConnection,
    Row as _, SqlSafeStr as _, Statement as _, TypeInfo as _, ValueRef as _,
    postgres::{PgConnectOptions, PgRow, PgSslMode, PgTypeInfo, PgTypeKind, PgValueFormat},
};

use super::{Error, Job};
use crate::connector::{Sink, cell::Cell, coerce, error::Result, moment};

/// How a column is written on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wire {
    Bool,
    Int,
    Oid,
    Float,
    Numeric,
    Text,
    Jsonb,
    Uuid,
    Date,
    Timestamp,
    Interval,
    Texts,
    /// A type that we do not read; refused only when a column of ours is bound to it.
    Foreign,
}

/// Reads the rows, and their count in the same snapshot of the data.
pub(super) async fn read(
    address: &SecretString,
    job: Job<'_>,
    sink: &mut dyn Sink,
) -> Result<Option<u64>> {
    let mut db = connect(address, job).await?;
    let total = rows(&mut db, job, sink).await?;
    // Nothing was written, so there is nothing to lose when closing goes wrong.
    let _closed = db.close().await;
    Ok(total)
}

/// Who we are for the database.
pub(super) async fn identity(address: &SecretString, job: Job<'_>) -> Result<String> {
    let mut db = connect(address, job).await?;
    job.meter.request();
    let who = sqlx::query_scalar(AssertSqlSafe(job.select)).fetch_one(&mut db);
    let who = patient(job, who).await?;
    let _closed = db.close().await;
    Ok(who)
}

async fn connect(address: &SecretString, job: Job<'_>) -> Result<PgConnection> {
    let options = options(address, &job)?;
    patient(job, options.connect()).await
}

/// How much longer than the server's own limit we wait for it.
const GRACE: Duration = Duration::from_secs(5);

/// Waits for the driver, but not for ever: a server that is gone keeps no limit.
async fn patient<T>(job: Job<'_>, step: impl Future<Output = sqlx::Result<T>>) -> Result<T> {
    match tokio::time::timeout(job.timeout + GRACE, step).await {
        Ok(done) => Ok(done.map_err(|e| Error::of(&e, job.timeout))?),
        Err(_) => Err(Error::timeout(job.timeout + GRACE).into()),
    }
}

fn options(address: &SecretString, job: &Job<'_>) -> Result<PgConnectOptions> {
    let mut options = PgConnectOptions::from_str(address.expose_secret())
        .map_err(|_| Error::Address)?
        .application_name("tripline")
        .disable_statement_logging();
    if let Some(ca) = &job.tls.ca_file {
        options = options.ssl_root_cert(ca).ssl_mode(PgSslMode::VerifyFull);
    }
    if let (Some(certificate), Some(key)) = (&job.tls.cert_file, &job.tls.key_file) {
        let key = key.read().map_err(|e| Error::Tls(e.to_string()))?;
        options = options
            .ssl_client_cert(certificate)
            .ssl_client_key_from_pem(key.expose_secret());
    }
    Ok(options)
}

async fn rows(db: &mut PgConnection, job: Job<'_>, sink: &mut dyn Sink) -> Result<Option<u64>> {
    // One snapshot of the data for the rows and their count.
    let begin = db.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    let mut tx = patient(job, begin).await?;
    let limit = format!("SET LOCAL statement_timeout = {}", job.timeout.as_millis());
    patient(job, tx.execute(AssertSqlSafe(limit))).await?;
    job.meter.request();
    let statement = patient(job, tx.prepare(AssertSqlSafe(job.select).into_sql_str())).await?;
    let columns = statement.columns();
    let names: Vec<String> = columns.iter().map(|c| c.name().to_owned()).collect();
    let wires: Vec<Wire> = columns.iter().map(|c| wire(c.type_info())).collect();
    for place in sink.header(&names)? {
        if let (Some(Wire::Foreign), Some(column)) = (wires.get(place), columns.get(place)) {
            return Err(Error::Type {
                column: column.name().to_owned(),
                ty: column.type_info().name().to_owned(),
            }
            .into());
        }
    }
    {
        let mut found = statement.query().fetch(&mut *tx);
        while let Some(row) = patient(job, found.try_next()).await? {
            let mut bytes = 0;
            let cells: Vec<Cell<'_>> = wires
                .iter()
                .enumerate()
                .map(|(i, wire)| cell(&row, i, *wire, &mut bytes))
                .collect();
            job.meter.bytes(bytes);
            sink.cells(&cells)?;
        }
    }
    let total = match job.count {
        None => None,
        Some(count) => Some(total(&mut tx, count, job).await?),
    };
    patient(job, tx.rollback()).await?;
    Ok(total)
}

async fn total(db: &mut PgConnection, count: &str, job: Job<'_>) -> Result<u64> {
    job.meter.request();
    let row = patient(job, sqlx::query(AssertSqlSafe(count)).fetch_one(db)).await?;
    let first = row.columns().first().ok_or(Error::Count)?;
    let read = match cell(&row, 0, wire(first.type_info()), &mut 0) {
        Cell::Int(n) => u64::try_from(n).ok(),
        Cell::Decimal(d) => u64::try_from(d / coerce::SCALE).ok(),
        _ => None,
    };
    Ok(read.ok_or(Error::Count)?)
}

fn wire(ty: &PgTypeInfo) -> Wire {
    match ty.kind() {
        PgTypeKind::Enum(_) => return Wire::Text,
        PgTypeKind::Domain(of) => return wire(of),
        PgTypeKind::Array(of) if wire(of) == Wire::Text => return Wire::Texts,
        _ => {}
    }
    match ty.name().to_ascii_uppercase().as_str() {
        "BOOL" => Wire::Bool,
        "INT2" | "INT4" | "INT8" => Wire::Int,
        "OID" | "XID" | "CID" => Wire::Oid,
        "FLOAT4" | "FLOAT8" => Wire::Float,
        "NUMERIC" => Wire::Numeric,
        "TEXT" | "VARCHAR" | "CHAR" | "BPCHAR" | "NAME" | "UNKNOWN" | "CITEXT" | "JSON" | "XML"
        | "\"CHAR\"" => Wire::Text,
        "JSONB" => Wire::Jsonb,
        "UUID" => Wire::Uuid,
        "DATE" => Wire::Date,
        "TIMESTAMP" | "TIMESTAMPTZ" => Wire::Timestamp,
        "INTERVAL" => Wire::Interval,
        "TEXT[]" | "VARCHAR[]" | "CHAR[]" | "BPCHAR[]" | "NAME[]" | "CITEXT[]" => Wire::Texts,
        _ => Wire::Foreign,
    }
}

fn cell<'r>(row: &'r PgRow, at: usize, wire: Wire, bytes: &mut u64) -> Cell<'r> {
    let Ok(value) = row.try_get_raw(at) else {
        return Cell::Null;
    };
    if value.is_null() {
        return Cell::Null;
    }
    let format = value.format();
    let Ok(raw) = value.as_bytes() else {
        return Cell::Null;
    };
    *bytes += raw.len() as u64;
    match format {
        PgValueFormat::Binary => binary(raw, wire),
        PgValueFormat::Text => std::str::from_utf8(raw).ok().map(Cell::text),
    }
    .unwrap_or(Cell::Other("bytes"))
}

/// Days from 1970-01-01 to 2000-01-01, where PostgreSQL begins to count.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * 86_400_000_000;

/// A value in PostgreSQL's binary format. `None` when the bytes are not what the type says.
fn binary(raw: &[u8], wire: Wire) -> Option<Cell<'_>> {
    Some(match wire {
        Wire::Bool => Cell::Bool(*raw.first()? != 0),
        Wire::Int => Cell::Int(match *raw {
            [a, b] => i16::from_be_bytes([a, b]).into(),
            [a, b, c, d] => i32::from_be_bytes([a, b, c, d]).into(),
            _ => i64::from_be_bytes(raw.try_into().ok()?).into(),
        }),
        Wire::Oid => Cell::Int(u32::from_be_bytes(raw.try_into().ok()?).into()),
        Wire::Float => Cell::Float(match *raw {
            [a, b, c, d] => f32::from_be_bytes([a, b, c, d]).into(),
            _ => f64::from_be_bytes(raw.try_into().ok()?),
        }),
        Wire::Numeric => numeric(raw)?,
        Wire::Text => Cell::text(std::str::from_utf8(raw).ok()?),
        Wire::Jsonb => {
            let text = raw.strip_prefix(&[1])?;
            Cell::from(serde_json::from_slice::<serde_json::Value>(text).ok()?)
        }
        Wire::Uuid => Cell::from(serde_json::Value::from(
            uuid::Uuid::from_slice(raw).ok()?.to_string(),
        )),
        Wire::Date => match i32::from_be_bytes(raw.try_into().ok()?) {
            i32::MAX => Cell::text("infinity"),
            i32::MIN => Cell::text("-infinity"),
            days => Cell::Date(days.checked_add(EPOCH_DAYS)?),
        },
        Wire::Timestamp => match i64::from_be_bytes(raw.try_into().ok()?) {
            i64::MAX => Cell::text("infinity"),
            i64::MIN => Cell::text("-infinity"),
            micros => Cell::Timestamp(micros.checked_add(EPOCH_MICROS)?),
        },
        Wire::Interval => interval(raw)?,
        Wire::Texts => Cell::List(texts(raw)?),
        Wire::Foreign => return None,
    })
}

/// `numeric`: digits to the base of 10,000. What does not fit 38 digits, 9 of them after the point, stays text.
fn numeric(raw: &[u8]) -> Option<Cell<'_>> {
    let words: Vec<i16> = raw
        .chunks_exact(2)
        .filter_map(|c| c.try_into().ok().map(i16::from_be_bytes))
        .collect();
    let (&[_, weight, sign, _], digits) = words.split_first_chunk::<4>()?;
    let mut text = match sign.cast_unsigned() {
        0x0000 => String::new(),
        0x4000 => "-".to_owned(),
        0xC000 => return Some(Cell::text("NaN")),
        _ => return Some(Cell::text("infinity")),
    };
    let weight = i32::from(weight);
    let lowest = (weight + 1 - i32::try_from(digits.len()).ok()?).min(0);
    for place in (lowest..=weight.max(0)).rev() {
        let at = usize::try_from(weight - place).ok();
        let group = at.and_then(|at| digits.get(at)).copied().unwrap_or(0);
        if place == weight.max(0) {
            write!(text, "{group}").ok()?;
        } else {
            write!(text, "{group:04}").ok()?;
        }
        if place == 0 {
            text.push('.');
        }
    }
    let text = text.trim_end_matches('0').trim_end_matches('.').to_owned();
    Some(match coerce::decimal_of(&text) {
        Some(d) => Cell::Decimal(d),
        None => Cell::Text(text.into()),
    })
}

/// `interval`: microseconds, days, months. Months have no fixed length, so such a value stays text.
fn interval(raw: &[u8]) -> Option<Cell<'_>> {
    let (micros, rest) = raw.split_first_chunk::<8>()?;
    let (days, months) = rest.split_first_chunk::<4>()?;
    let micros = i64::from_be_bytes(*micros);
    let days = i32::from_be_bytes(*days);
    let months = i32::from_be_bytes(months.try_into().ok()?);
    if months != 0 {
        return Some(Cell::Text(format!("P{months}M{days}D").into()));
    }
    let days = i64::from(days).checked_mul(moment::DAY)?;
    Some(Cell::Duration(days.checked_add(micros)?))
}

/// An array of texts with one dimension.
fn texts(raw: &[u8]) -> Option<Vec<Option<String>>> {
    let mut rest = raw;
    let mut next = || -> Option<i32> {
        let (head, tail) = rest.split_first_chunk::<4>()?;
        rest = tail;
        Some(i32::from_be_bytes(*head))
    };
    let (dimensions, _nulls, _type) = (next()?, next()?, next()?);
    if dimensions == 0 {
        return Some(Vec::new());
    }
    let (items, _lower) = (next()?, next()?);
    if dimensions != 1 {
        return None;
    }
    let mut list = Vec::with_capacity(usize::try_from(items).ok()?.min(1024));
    for _ in 0..items {
        let (head, tail) = rest.split_first_chunk::<4>()?;
        let length = i32::from_be_bytes(*head);
        let Ok(length) = usize::try_from(length) else {
            list.push(None);
            rest = tail;
            continue;
        };
        let (text, tail) = tail.split_at_checked(length)?;
        list.push(Some(std::str::from_utf8(text).ok()?.to_owned()));
        rest = tail;
    }
    Some(list)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wire_numeric(weight: i16, sign: u16, digits: &[i16]) -> Vec<u8> {
        let mut raw = Vec::new();
        raw.extend(i16::try_from(digits.len()).unwrap().to_be_bytes());
        raw.extend(weight.to_be_bytes());
        raw.extend(sign.to_be_bytes());
        raw.extend(0_u16.to_be_bytes());
        raw.extend(digits.iter().flat_map(|d| d.to_be_bytes()));
        raw
    }

    #[test]
    fn numerics_of_any_size_keep_their_digits() {
        let text = |weight, sign, digits: &[i16]| {
            let raw = wire_numeric(weight, sign, digits);
            numeric(&raw).unwrap().plain().unwrap().into_owned()
        };
        assert_eq!(text(0, 0, &[]), "0");
        assert_eq!(text(0, 0x4000, &[12, 3400]), "-12.34");
        assert_eq!(text(1, 0, &[1]), "10000");
        assert_eq!(text(1, 0, &[1, 1]), "10001");
        assert_eq!(text(-1, 0, &[1]), "0.0001");
        assert_eq!(text(-2, 0, &[5000]), "0.00005");
        assert_eq!(
            text(-4, 0, &[7]),
            "0.0000000000000007",
            "too fine to be a decimal, so it stays text"
        );
        assert_eq!(
            text(9, 0, &[9999; 10]),
            "9".repeat(40),
            "too large to be a decimal, so it stays text"
        );
        assert_eq!(text(0, 0xC000, &[]), "NaN");
        assert_eq!(text(0, 0xD000, &[]), "infinity");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(raw in prop::collection::vec(any::<u8>(), 0..40)) {
            for wire in [Wire::Bool, Wire::Int, Wire::Oid, Wire::Float, Wire::Text, Wire::Jsonb, Wire::Uuid, Wire::Date, Wire::Timestamp, Wire::Interval, Wire::Texts, Wire::Foreign] {
                let _ = binary(&raw, wire);
            }
            // The weight of a real one is small; 32,767 groups of digits are only slow.
            let mut raw = raw;
            if let Some(high) = raw.get_mut(2) {
                *high = 0;
            }
            let _ = binary(&raw, Wire::Numeric);
        }
    }
}
