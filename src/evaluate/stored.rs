//! A dataset as a table of the engine: a Parquet object of the archive, read as a listing table, or rows in
//! memory for examples. An object that is not there is an error, never an empty table.

use std::{any::Any, sync::Arc};

use async_trait::async_trait;
use datafusion::{
    arrow::{array::RecordBatch, datatypes::SchemaRef},
    catalog::{Session, TableProvider},
    common::{DataFusionError, Result},
    datasource::{
        MemTable, TableType,
        file_format::parquet::ParquetFormat,
        listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl},
    },
    logical_expr::{Expr, TableProviderFilterPushDown},
    physical_plan::{ExecutionPlan, empty::EmptyExec},
};

use crate::{
    evidence::{self, Archive, Object, arrow},
    model::{id::Sha, table::Schema},
};

/// One dataset of a run.
#[derive(Debug)]
pub(super) struct Stored {
    inner: Arc<dyn TableProvider>,
    /// The columns that name each row once, when that was found to hold.
    key: Vec<String>,
    /// The object, when there is one.
    object: Option<Object>,
}

impl Stored {
    /// An object of the archive under the columns that are declared for it.
    pub(super) fn object(archive: &Archive, object: Object, declared: &Schema) -> Result<Self> {
        let url = ListingTableUrl::try_new(
            archive.address(object.name).ok_or_else(|| {
                DataFusionError::Internal("the archive has no address".to_owned())
            })?,
            None,
        )?;
        let options =
            ListingOptions::new(Arc::new(ParquetFormat::default())).with_file_extension(".parquet");
        let config = ListingTableConfig::new(url)
            .with_listing_options(options)
            .with_schema(arrow::schema(declared));
        // A key of other columns than those that were found unique says nothing of these.
        let same_key = object.about.schema.key == declared.key;
        Ok(Self {
            inner: Arc::new(ListingTable::try_new(config)?),
            key: if object.about.unique && same_key {
                declared.key.clone()
            } else {
                Vec::new()
            },
            object: Some(object),
        })
    }

    /// Rows in memory, of which nothing is known.
    pub(super) fn rows(batch: RecordBatch) -> Result<Self> {
        Ok(Self {
            inner: Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?),
            key: Vec::new(),
            object: None,
        })
    }

    /// Rows in memory with a key that is said to hold.
    #[cfg(test)]
    pub(super) fn keyed(batch: RecordBatch, key: &[&str]) -> Result<Self> {
        Ok(Self {
            key: key.iter().map(ToString::to_string).collect(),
            ..Self::rows(batch)?
        })
    }

    /// The stored table behind a provider, if it is one.
    pub(super) fn of(provider: &dyn TableProvider) -> Option<&Self> {
        (provider as &dyn Any).downcast_ref()
    }

    /// The columns that name each row once, with neither absent nor empty values; none when that is not known.
    pub(super) fn key(&self) -> &[String] {
        &self.key
    }

    /// What the object says of itself.
    pub(super) fn about(&self) -> Option<(Sha, &evidence::parquet::About)> {
        self.object.as_ref().map(|o| (o.name, &*o.about))
    }
}

#[async_trait]
impl TableProvider for Stored {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        self.inner.supports_filters_pushdown(filters)
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = self.inner.scan(state, projection, filters, limit).await?;
        match &self.object {
            // The engine takes an address without a file for a table without rows.
            Some(object) if (&*plan as &dyn Any).is::<EmptyExec>() => Err(
                DataFusionError::External(Box::new(evidence::Error::Missing(object.name))),
            ),
            _ => Ok(plan),
        }
    }
}
