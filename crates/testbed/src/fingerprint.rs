//! Everything that a right restore must reproduce, as text that can be compared.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use mongodb::Client;
use mongodb::bson::{Bson, Document, doc};

/// Facts by name; equal for two servers that hold the same.
pub type Fingerprint = BTreeMap<String, String>;

/// Takes the fingerprint of all databases but `admin`, `local` and `config`, and of users and roles.
///
/// # Errors
/// As the server answers.
pub async fn fingerprint(client: &Client) -> Result<Fingerprint, mongodb::error::Error> {
    let mut facts = Fingerprint::new();
    for db in client.list_database_names().await? {
        if !matches!(db.as_str(), "admin" | "local" | "config") {
            database(client, &db, &mut facts).await?;
        }
    }
    for collection in ["system.users", "system.roles"] {
        let all = client.database("admin").collection::<Document>(collection).find(doc! {}).await?;
        for document in all.try_collect::<Vec<_>>().await? {
            facts.insert(format!("admin.{collection} {:?}", document.get("_id")), text(&document));
        }
    }
    Ok(facts)
}

async fn database(client: &Client, db: &str, facts: &mut Fingerprint) -> Result<(), mongodb::error::Error> {
    let database = client.database(db);
    let hashes = database.run_command(doc! { "dbHash": 1 }).await?;
    if let Ok(collections) = hashes.get_document("collections") {
        for (collection, hash) in collections {
            facts.insert(format!("{db}.{collection} dbHash"), hash.to_string());
        }
    }
    let cursor = database.run_cursor_command(doc! { "listCollections": 1 }).await?;
    for mut entry in cursor.try_collect::<Vec<Document>>().await? {
        let name = entry.get_str("name").unwrap_or_default().to_owned();
        let is_view = entry.get_str("type").is_ok_and(|kind| kind == "view");
        // A collection's UUID is the server's own.
        entry.remove("info");
        facts.insert(format!("{db}.{name} options"), text(&entry));
        if !is_view {
            indexes(client, db, &name, facts).await?;
        }
        if entry.get_document("options").is_ok_and(|options| options.get_bool("capped").unwrap_or(false)) {
            let all = database.collection::<Document>(&name).find(doc! {}).await?;
            let order = all.try_collect::<Vec<_>>().await?;
            facts.insert(format!("{db}.{name} order"), format!("{order:?}"));
        }
    }
    Ok(())
}

async fn indexes(
    client: &Client,
    db: &str,
    collection: &str,
    facts: &mut Fingerprint,
) -> Result<(), mongodb::error::Error> {
    let listed = client.database(db).run_cursor_command(doc! { "listIndexes": collection }).await;
    let Ok(listed) = listed else { return Ok(()) };
    for index in listed.try_collect::<Vec<Document>>().await? {
        let name = index.get_str("name").unwrap_or_default().to_owned();
        facts.insert(format!("{db}.{collection} index {name}"), text(&index));
    }
    Ok(())
}

fn text(document: &Document) -> String {
    Bson::Document(document.clone()).into_canonical_extjson().to_string()
}

/// What differs, one line each; empty when nothing does.
#[must_use]
pub fn differences(wanted: &Fingerprint, found: &Fingerprint) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, value) in wanted {
        match found.get(name) {
            Some(other) if other == value => {}
            Some(other) => lines.push(format!("{name}: {value} became {other}")),
            None => lines.push(format!("{name} is missing")),
        }
    }
    lines
        .extend(found.keys().filter(|name| !wanted.contains_key(*name)).map(|name| format!("{name} is new")));
    lines
}
