//! What a person meets in `psql`.

use crate::harness::TestDatabase;

#[tokio::test]
async fn every_table_and_every_column_says_what_it_is() {
    let database = TestDatabase::new().await;
    let silent: Vec<String> = sqlx::query_scalar(
        "select relname || coalesce('.' || attname, '')
         from pg_class
         left join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
         where relnamespace = 'public'::regnamespace and relkind = 'r' and relname <> '_sqlx_migrations'
             and (col_description(pg_class.oid, attnum) is null or obj_description(pg_class.oid, 'pg_class') is null)
         order by 1",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    assert_eq!(silent, Vec::<String>::new());
    let columns: i64 = sqlx::query_scalar(
        "select count(*) from information_schema.columns where table_schema = 'public' and table_name = 'observation'",
    )
    .fetch_one(&database.pool)
    .await
    .unwrap();
    assert_eq!(columns, 8, "the check looked at our tables");
}

#[tokio::test]
async fn the_catalog_in_sql_is_the_catalog_of_the_program() {
    let database = TestDatabase::new().await;
    let stored: Vec<(String, String, String)> = sqlx::query_as("select metric, unit, kind from metric order by metric")
        .fetch_all(&database.pool)
        .await
        .unwrap();
    let mut expected: Vec<_> = miner_signals::domain::catalog::METRICS
        .iter()
        .map(|metric| (metric.slug.to_owned(), metric.unit.to_owned(), metric.kind.name().to_owned()))
        .collect();
    expected.sort();
    assert_eq!(stored, expected);
}
