//! Facts as rows: every version of every row of the tables that people compile.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::StoreError;
use super::head::Batch;
use crate::domain::credit::row::{CreditRow, Table};
use crate::domain::facts::{
    AsicModel, AsicModelFields, Cooling, DatePrecision, EfficiencyDistribution, EfficiencyDistributionFields,
    EvidenceKind, Fact, FactVersion, Fault, NetworkEfficiency, NetworkEfficiencyFields, PoolEvidence,
    PoolEvidenceFields, RoughDate, UnitPrice,
};
use crate::domain::indicators::mining_cost::EfficiencyShare;
use crate::domain::time::{Day, Timestamp};

/// The body of a row as it is stored; the time of publication stands in a column. Fields that a later
/// release adds are not minded.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
enum Body {
    NetworkEfficiency(NetworkEfficiencyBody),
    AsicModel(AsicModelBody),
    EfficiencyDistribution(EfficiencyDistributionBody),
    Pool(PoolEvidenceBody),
    /// The cells of a row about issuers and their debt, without empty ones.
    Credit(BTreeMap<String, String>),
}

/// The tables that this release reads; a later one may have stored more.
fn tables() -> Vec<String> {
    let of_network = [Fact::NETWORK_EFFICIENCY, Fact::ASIC_MODELS, Fact::EFFICIENCY_DISTRIBUTION, Fact::POOLS];
    of_network.into_iter().chain(Table::ALL.map(Table::name)).map(str::to_owned).collect()
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct NetworkEfficiencyBody {
    observed_on: String,
    efficiency_j_per_th: f64,
    publisher: String,
    title: String,
    source: String,
    note: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct AsicModelBody {
    model_id: String,
    model: String,
    manufacturer: String,
    hashrate_th_per_s: Option<f64>,
    power_w: Option<f64>,
    efficiency_j_per_th: f64,
    cooling: String,
    released_on: Option<String>,
    released_precision: Option<String>,
    price_usd_per_th: Option<f64>,
    price_on: Option<String>,
    source: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct EfficiencyDistributionBody {
    as_of: String,
    shares: Vec<EfficiencyShareBody>,
    source: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct EfficiencyShareBody {
    efficiency_j_per_th: f64,
    share: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct PoolEvidenceBody {
    slug: String,
    name: String,
    kind: String,
    value: String,
    source: String,
    note: String,
}

impl From<&Fact> for Body {
    fn from(fact: &Fact) -> Self {
        match fact {
            Fact::NetworkEfficiency(row) => Self::NetworkEfficiency(row.fields().into()),
            Fact::AsicModel(row) => Self::AsicModel(row.fields().into()),
            Fact::EfficiencyDistribution(row) => Self::EfficiencyDistribution(row.fields().into()),
            Fact::Pool(row) => Self::Pool(row.fields().into()),
            Fact::Credit(row) => {
                Self::Credit(row.cells().iter().map(|(column, cell)| ((*column).to_owned(), cell.clone())).collect())
            }
        }
    }
}

impl From<&NetworkEfficiencyFields> for NetworkEfficiencyBody {
    fn from(fields: &NetworkEfficiencyFields) -> Self {
        Self {
            observed_on: fields.observed_on.to_string(),
            efficiency_j_per_th: fields.efficiency_j_per_th,
            publisher: fields.publisher.clone(),
            title: fields.title.clone(),
            source: fields.source.clone(),
            note: fields.note.clone(),
        }
    }
}

impl From<&AsicModelFields> for AsicModelBody {
    fn from(fields: &AsicModelFields) -> Self {
        Self {
            model_id: fields.model_id.clone(),
            model: fields.model.clone(),
            manufacturer: fields.manufacturer.clone(),
            hashrate_th_per_s: fields.hashrate_th_per_s,
            power_w: fields.power_w,
            efficiency_j_per_th: fields.efficiency_j_per_th,
            cooling: fields.cooling.name().to_owned(),
            released_on: fields.released.map(|released| released.day.to_string()),
            released_precision: fields.released.map(|released| released.precision.name().to_owned()),
            price_usd_per_th: fields.price.map(|price| price.usd_per_th),
            price_on: fields.price.map(|price| price.on.to_string()),
            source: fields.source.clone(),
        }
    }
}

impl From<&EfficiencyDistributionFields> for EfficiencyDistributionBody {
    fn from(fields: &EfficiencyDistributionFields) -> Self {
        let share = |share: &EfficiencyShare| EfficiencyShareBody {
            efficiency_j_per_th: share.efficiency_j_per_th,
            share: share.share,
        };
        Self {
            as_of: fields.as_of.to_string(),
            shares: fields.shares.iter().map(share).collect(),
            source: fields.source.clone(),
        }
    }
}

impl From<&PoolEvidenceFields> for PoolEvidenceBody {
    fn from(fields: &PoolEvidenceFields) -> Self {
        Self {
            slug: fields.slug.clone(),
            name: fields.name.clone(),
            kind: fields.kind.name().to_owned(),
            value: fields.value.clone(),
            source: fields.source.clone(),
            note: fields.note.clone(),
        }
    }
}

impl Body {
    /// The body of a row of a table.
    fn of(table: &str, body: serde_json::Value) -> Result<Self, String> {
        match table {
            Fact::NETWORK_EFFICIENCY => serde_json::from_value(body).map(Self::NetworkEfficiency),
            Fact::ASIC_MODELS => serde_json::from_value(body).map(Self::AsicModel),
            Fact::EFFICIENCY_DISTRIBUTION => serde_json::from_value(body).map(Self::EfficiencyDistribution),
            Fact::POOLS => serde_json::from_value(body).map(Self::Pool),
            other if Table::from_name(other).is_some() => serde_json::from_value(body).map(Self::Credit),
            other => return Err(format!("a row of {other}")),
        }
        .map_err(|error| error.to_string())
    }

    /// The row again; what is wrong with it, if this release would not have stored it.
    fn into_fact(self, table: &str, published_at: Timestamp) -> Result<Fact, String> {
        let faults = |faults: Vec<Fault>| {
            faults.iter().map(|fault| format!("{}: {}", fault.column, fault.advice)).collect::<Vec<_>>().join("; ")
        };
        match self {
            Self::NetworkEfficiency(body) => NetworkEfficiency::new(NetworkEfficiencyFields {
                observed_on: day(&body.observed_on)?,
                efficiency_j_per_th: body.efficiency_j_per_th,
                published_at,
                publisher: body.publisher,
                title: body.title,
                source: body.source,
                note: body.note,
            })
            .map(Fact::NetworkEfficiency)
            .map_err(faults),
            Self::AsicModel(body) => {
                let released = match (&body.released_on, &body.released_precision) {
                    (Some(on), Some(precision)) => Some(RoughDate {
                        day: day(on)?,
                        precision: DatePrecision::from_name(precision).ok_or_else(|| precision.clone())?,
                    }),
                    _ => None,
                };
                let price = match (body.price_usd_per_th, &body.price_on) {
                    (Some(usd_per_th), Some(on)) => Some(UnitPrice { usd_per_th, on: day(on)? }),
                    _ => None,
                };
                AsicModel::new(AsicModelFields {
                    model_id: body.model_id,
                    model: body.model,
                    manufacturer: body.manufacturer,
                    hashrate_th_per_s: body.hashrate_th_per_s,
                    power_w: body.power_w,
                    efficiency_j_per_th: body.efficiency_j_per_th,
                    cooling: Cooling::from_name(&body.cooling).ok_or(body.cooling)?,
                    released,
                    price,
                    published_at,
                    source: body.source,
                })
                .map(Fact::AsicModel)
                .map_err(faults)
            }
            Self::EfficiencyDistribution(body) => {
                let share = |share: EfficiencyShareBody| EfficiencyShare {
                    efficiency_j_per_th: share.efficiency_j_per_th,
                    share: share.share,
                };
                EfficiencyDistribution::new(EfficiencyDistributionFields {
                    as_of: day(&body.as_of)?,
                    shares: body.shares.into_iter().map(share).collect(),
                    published_at,
                    source: body.source,
                })
                .map(Fact::EfficiencyDistribution)
                .map_err(faults)
            }
            Self::Pool(body) => PoolEvidence::new(PoolEvidenceFields {
                kind: EvidenceKind::from_name(&body.kind).ok_or(body.kind)?,
                slug: body.slug,
                name: body.name,
                value: body.value,
                published_at,
                source: body.source,
                note: body.note,
            })
            .map(Fact::Pool)
            .map_err(faults),
            Self::Credit(body) => {
                let table = Table::from_name(table).ok_or_else(|| table.to_owned())?;
                // Columns that a later release adds are not minded.
                let cell = |column: &&'static str| Some((*column, body.get(*column)?.clone()));
                let cells = table.columns().iter().filter_map(cell).collect();
                CreditRow::new(table, cells, published_at).map(Fact::Credit).map_err(faults)
            }
        }
    }
}

fn day(text: &str) -> Result<Day, String> {
    Day::parse(text).map_err(|error| error.to_string())
}

/// Who brings rows, which decides what a row says that was stored once and then corrected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bringer {
    /// The release: what it brought once, it does not bring again, so that a correction made here stays.
    Release,
    /// A person: the rows are what they hold true now.
    Person,
}

/// What became of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FactCounts {
    pub read: usize,
    pub stored: usize,
    pub unchanged: usize,
    /// Stored rows of the same tables that were not among those brought; they stay.
    pub absent: usize,
}

/// A row's table, key and time of publication.
type Place = (String, String, Timestamp);

/// Appends what of the rows is new. A row whose time of publication is stored already with another
/// content is a correction: it counts as known from the batch's own moment on, so no past view changes.
///
/// The caller has taken the head and records the batch if something was stored. Rows come one for each
/// table, key and time of publication, as [`crate::sources`] reads them.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn append_facts(
    connection: &mut PgConnection,
    batch: Batch,
    facts: &[Fact],
    bringer: Bringer,
) -> Result<FactCounts, StoreError> {
    let mut stored = read_hashes(connection).await?;
    let mut counts = FactCounts { read: facts.len(), ..FactCounts::default() };
    for fact in facts {
        let body = Body::from(fact);
        let text = serde_json::to_string(&body).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
        let hash = blake3::hash(text.as_bytes());
        let place = (fact.table().to_owned(), fact.key(), fact.published_at());
        let earlier = stored.remove(&place).unwrap_or_default();
        let is_known = |known: &Vec<u8>| known.as_slice() == hash.as_bytes();
        let is_unchanged = match bringer {
            Bringer::Release => earlier.iter().any(is_known),
            Bringer::Person => earlier.last().is_some_and(is_known),
        };
        if is_unchanged {
            counts.unchanged += 1;
            continue;
        }
        let known_at =
            if earlier.is_empty() { fact.published_at() } else { batch.recorded_at.max(fact.published_at()) };
        insert(connection, batch, fact, known_at, hash, body).await?;
        counts.stored += 1;
    }
    let tables: Vec<&str> = facts.iter().map(Fact::table).collect();
    counts.absent = stored.keys().filter(|(table, ..)| tables.contains(&table.as_str())).count();
    Ok(counts)
}

/// The hashes of every stored row, its versions in the order in which they were stored.
async fn read_hashes(connection: &mut PgConnection) -> Result<HashMap<Place, Vec<Vec<u8>>>, StoreError> {
    let rows =
        sqlx::query!("/* read_fact_hashes */ select fact_table, fact_key, published_at, hash from fact order by batch")
            .fetch_all(connection)
            .await?;
    let mut hashes: HashMap<Place, Vec<Vec<u8>>> = HashMap::new();
    for row in rows {
        hashes.entry((row.fact_table, row.fact_key, row.published_at.into())).or_default().push(row.hash);
    }
    Ok(hashes)
}

async fn insert(
    connection: &mut PgConnection,
    batch: Batch,
    fact: &Fact,
    known_at: Timestamp,
    hash: blake3::Hash,
    body: Body,
) -> Result<(), StoreError> {
    sqlx::query!(
        "/* insert_fact */ insert into fact (fact_table, fact_key, published_at, known_at, batch, hash, body)
         values ($1, $2, $3, $4, $5, $6, $7)",
        fact.table(),
        fact.key(),
        chrono::DateTime::from(fact.published_at()),
        chrono::DateTime::from(known_at),
        batch.number,
        hash.as_bytes(),
        Json(body) as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Every version that batches after `batch` stored, in their order.
///
/// A row that this release cannot read, such as one of a later release, is left out and logged: views go
/// on without it.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn read_facts_after(connection: &mut PgConnection, batch: i64) -> Result<Vec<FactVersion<Fact>>, StoreError> {
    let tables = tables();
    let rows = sqlx::query!(
        "/* read_facts_after */ select fact_table, published_at, known_at, batch, body from fact
         where batch > $1 and fact_table = any($2) order by batch, fact_table, fact_key, published_at",
        batch,
        &tables
    )
    .fetch_all(connection)
    .await?;
    let mut facts = Vec::with_capacity(rows.len());
    for row in rows {
        match Body::of(&row.fact_table, row.body)
            .and_then(|body| body.into_fact(&row.fact_table, row.published_at.into()))
        {
            Ok(fact) => facts.push(FactVersion { known_at: row.known_at.into(), batch: row.batch, row: fact }),
            Err(found) => {
                tracing::warn!(table = row.fact_table, batch = row.batch, found, "a stored fact cannot be read");
            }
        }
    }
    Ok(facts)
}

/// How many versions of each table are stored, by name.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn count_facts(connection: &mut PgConnection) -> Result<Vec<(String, i64)>, StoreError> {
    let rows = sqlx::query!(
        r#"/* count_facts */ select fact_table, count(*) as "count!" from fact group by fact_table order by fact_table"#
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.fact_table, row.count)).collect())
}
