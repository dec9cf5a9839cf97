//! The built-in roles are enough, what is missing is named before anything happens, and TLS, SCRAM and x.509 work.

use std::sync::Arc;

use bson::doc;
use strongroom_engine::backup::{Examination, examine};
use strongroom_engine::deployment::{ConnectOptions, Target};
use strongroom_engine::restore::{self, Source};
use strongroom_engine::{Code, Compression, Consistency, Filter, Period, Topology, Waits, backup};
use testbed::certificates::{self, Certificates};
use testbed::mongod::Options;
use testbed::{Mongod, Set, dataset};

use crate::setup::{backup as made_backup, folder, options, unwatched};
use crate::topology::backup_of;

async fn guarded() -> Mongod {
    Mongod::start(Options { replica_set: true, auth: true, ..Options::default() }).await.unwrap()
}

async fn user(server: &Mongod, name: &str, roles: Vec<bson::Bson>) -> String {
    let user = doc! { "createUser": name, "pwd": "secret", "roles": roles };
    server.command("admin", user).await.unwrap();
    format!("{}&authSource=admin", server.uri_for(&format!("{name}:secret@")))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_backup_is_enough_and_one_who_may_write_is_warned() {
    let server = guarded().await;
    dataset::every_kind(&server.client().await.unwrap()).await.unwrap();
    let free = ConnectOptions::default();
    let backup_only = user(&server, "backups", vec!["backup".into()]).await;
    let (made, heard) = backup_of(&backup_only, &free).await;
    assert!(made.unwrap().totals.documents > 0);
    assert_eq!(heard.warnings().iter().filter(|said| said.contains("may `")).count(), 0);

    let writer = user(&server, "writer", vec!["backup".into(), "readWriteAnyDatabase".into()]).await;
    let (made, heard) = backup_of(&writer, &free).await;
    made.unwrap();
    let warnings = heard.warnings().join("\n");
    assert!(
        warnings.contains("`writer` may `") && warnings.contains("role `backup` is enough"),
        "{warnings}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_privilege_is_named_before_anything_is_stored() {
    let server = guarded().await;
    let client = server.client().await.unwrap();
    for name in ["orders", "items"] {
        client.database("shop").collection(name).insert_one(doc! { "_id": 1 }).await.unwrap();
    }
    let role = |name: &str, privileges: Vec<bson::Document>| doc! { "createRole": name, "privileges": privileges, "roles": [] };
    let every = doc! { "resource": { "anyResource": true }, "actions": ["listCollections", "listIndexes"] };
    let cluster = doc! { "resource": { "cluster": true }, "actions": ["listDatabases"] };
    let find = |db: &str, collection: &str| doc! { "resource": { "db": db, "collection": collection }, "actions": ["find"] };
    let most = vec![
        every.clone(),
        cluster.clone(),
        find("shop", "orders"),
        find("admin", ""),
        find("", "system.users"),
        find("", "system.version"),
        find("", "system.roles"),
        find("local", "oplog.rs"),
        find("config", "transactions"),
    ];
    let no_oplog = most[..7].to_vec();
    client.database("admin").run_command(role("no_oplog", no_oplog)).await.unwrap();
    let uri = user(&server, "timeless", vec!["no_oplog".into()]).await;
    let error = backup_of(&uri, &ConnectOptions::default()).await.0.unwrap_err();
    assert!(error.message().contains("`timeless` lacks `find` on `local.oplog.rs`, and 1 more"), "{error}");
    client.database("admin").run_command(role("most", most)).await.unwrap();
    let uri = user(&server, "partly", vec!["most".into()]).await;
    let error = backup_of(&uri, &ConnectOptions::default()).await.0.unwrap_err();
    assert_eq!(error.code(), Code::MongoPrivilege);
    assert!(error.message().contains("`partly` lacks `find` on `shop.items`"), "{error}");
    let help = error.help_text().unwrap().to_string();
    assert!(help.contains("grantRolesToUser(\"partly\"") && help.contains("role: \"backup\""), "{help}");

    let nothing = user(&server, "nobody", vec![]).await;
    let error = backup_of(&nothing, &ConnectOptions::default()).await.0.unwrap_err();
    assert_eq!(error.code(), Code::MongoPrivilege);
    assert!(error.help_text().unwrap().to_string().contains("grantRolesToUser(\"nobody\""), "{error:?}");
}

async fn examined(uri: &str) -> Examination {
    examine(&uri.parse().unwrap(), &backup::Options::default(), Waits::default()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_examination_names_what_is_missing_and_the_command_that_grants_it() {
    let server = guarded().await;
    let client = server.client().await.unwrap();
    client.database("shop").collection("orders").insert_one(doc! { "_id": 1, "n": "x" }).await.unwrap();
    client.database("crm").collection("people").insert_one(doc! { "_id": 1 }).await.unwrap();
    let name = "o'\"brien";
    let uri = user(&server, name, vec![]).await.replace(name, "o'%22brien");
    let found = examined(&uri).await;
    assert_eq!(found.problem.as_ref().unwrap().code(), Code::MongoPrivilege, "{found:?}");
    assert_eq!(found.user.as_deref(), Some(name));
    assert_eq!(found.source.as_ref().unwrap().topology, Topology::ReplicaSet);
    for missing in [
        "`listDatabases` on the cluster",
        "`listCollections` on every database",
        "`find` on `local.oplog.rs`",
    ] {
        assert!(found.missing.contains(&missing.to_owned()), "{:?}", found.missing);
    }
    assert_eq!((found.databases, found.bytes), (None, None), "what may not be listed is not counted");
    let grant = found.grant.as_deref().unwrap();
    assert!(!serde_json::to_string(&found).unwrap().contains("secret"));

    // As mongosh does it: the command's arguments are JavaScript.
    let (db, rest) =
        grant.strip_prefix("db.getSiblingDB(").unwrap().split_once(").grantRolesToUser(").unwrap();
    let (named, roles) = rest.split_once(", ").unwrap();
    assert_eq!((db, roles), (r#""admin""#, r#"[{role: "backup", db: "admin"}])"#));
    let named: String = serde_json::from_str(named).unwrap();
    let roles = [doc! { "role": "backup", "db": "admin" }];
    server.command("admin", doc! { "grantRolesToUser": named, "roles": &roles }).await.unwrap();
    let found = examined(&uri).await;
    assert!(found.problem.is_none(), "{found:?}");
    assert_eq!((found.missing.len(), found.grant.as_deref()), (0, None), "{:?}", found.missing);
    assert_eq!((found.databases, found.missing_more), (Some(3), 0), "shop, crm and admin with its users");
    assert!(found.bytes.unwrap() > 0 && found.collections.unwrap() >= 4, "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_examination_names_the_one_collection_that_may_not_be_read() {
    let server = guarded().await;
    let client = server.client().await.unwrap();
    for name in ["orders", "items"] {
        client.database("shop").collection(name).insert_one(doc! { "_id": 1 }).await.unwrap();
    }
    let privileges = vec![
        doc! { "resource": { "db": "shop", "collection": "" }, "actions": ["listCollections", "listIndexes"] },
        doc! { "resource": { "db": "shop", "collection": "orders" }, "actions": ["find"] },
    ];
    let role = doc! { "createRole": "some", "privileges": privileges, "roles": [] };
    client.database("admin").run_command(role).await.unwrap();
    let uri = user(&server, "partly", vec!["some".into()]).await;
    let filter = Filter::new(vec!["shop.*".into()], vec![]).unwrap();
    let options = backup::Options { filter, ..backup::Options::default() };
    let found = examine(&uri.parse().unwrap(), &options, Waits::default()).await;
    let missing = ["`find` on `local.oplog.rs`", "`find` on `config.transactions`", "`find` on `shop.items`"];
    assert_eq!(found.missing, missing, "{found:?}");
    assert_eq!((found.databases, found.collections), (Some(1), Some(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_examination_of_nothing_says_that_nothing_answers() {
    let waits = Waits { connect: Period::seconds(1), ..Waits::default() };
    let uri = "mongodb://u:secret@127.0.0.1:9/?directConnection=true".parse().unwrap();
    let found = examine(&uri, &backup::Options::default(), waits).await;
    let problem = found.problem.as_ref().unwrap();
    assert!(matches!(problem.code(), Code::MongoHost | Code::Stalled), "{problem:?}");
    assert!(found.source.is_none() && !format!("{found:?}").contains("secret"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_restore_is_enough_but_for_what_is_named() {
    let (source, target) = (guarded().await, guarded().await);
    user(&source, "cashier", vec!["readAnyDatabase".into()]).await;
    let client = source.client().await.unwrap();
    let orders = client.database("shop").collection::<bson::Document>("orders");
    orders.insert_many((0..10).map(|i| doc! { "_id": i, "n": i % 3 })).await.unwrap();
    client
        .database("shop")
        .run_command(doc! { "createIndexes": "orders", "indexes": [{ "key": { "n": 1 }, "name": "n" }] })
        .await
        .unwrap();
    // An insert would fill it in; an update by a pipeline leaves it.
    let empty = bson::Timestamp { time: 0, increment: 0 };
    let set = vec![doc! { "$set": { "at": { "$literal": empty } } }];
    orders.update_one(doc! { "_id": 3 }, set).await.unwrap();
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let manifest = Arc::new(made_backup(&source, &store, options(Compression::None)).await.unwrap());
    assert!(matches!(manifest.consistency, Consistency::Snapshot { .. }));

    let restore_as = async |uri: &str| {
        let into = Target::connect(&uri.parse().unwrap()).await.unwrap();
        let source = Source::backup(store.clone(), manifest.clone());
        let prepared = restore::prepare(source, into, restore::Options::default()).await?;
        prepared.run(unwatched()).await
    };
    let reader = user(&target, "reader", vec!["readAnyDatabase".into()]).await;
    let error = restore_as(&reader).await.unwrap_err();
    assert_eq!(error.code(), Code::MongoPrivilege);
    assert!(error.message().contains("`reader` lacks `createCollection` on `shop.orders`"), "{error}");
    assert!(error.help_text().unwrap().to_string().contains("role: \"restore\""));

    let restorer = user(&target, "restorer", vec!["restore".into()]).await;
    let restored = restore_as(&restorer).await.unwrap();
    assert_eq!((restored.documents, restored.indexes), (12, 1), "ten orders and two users");
    let users = target.command("admin", doc! { "usersInfo": "cashier" }).await.unwrap();
    assert_eq!(users.get_array("users").unwrap().len(), 1);
    assert_eq!(
        (restored.refused, restored.exceptions),
        (0, vec![]),
        "an empty timestamp needs no more than that"
    );
    let found = target.client().await.unwrap().database("shop").collection::<bson::Document>("orders");
    assert_eq!(found.find_one(doc! { "_id": 3 }).await.unwrap().unwrap().get_timestamp("at").unwrap(), empty);
    // In a collection that is there, a document could only be put back by one who may delete.
    orders.insert_one(doc! { "_id": 10 }).await.unwrap();
    let set = vec![doc! { "$set": { "at": { "$literal": empty } } }];
    orders.update_one(doc! { "_id": 10 }, set).await.unwrap();
    let manifest = Arc::new(made_backup(&source, &store, options(Compression::None)).await.unwrap());
    let into = Target::connect(&restorer.parse().unwrap()).await.unwrap();
    let keep = restore::Options { existing: restore::Existing::Keep, ..restore::Options::default() };
    let prepared = restore::prepare(Source::backup(store.clone(), manifest), into, keep).await.unwrap();
    let restored = prepared.run(unwatched()).await.unwrap();
    assert_eq!((restored.documents, restored.refused), (3, 11), "{restored:?}");
    let [exception] = &restored.exceptions[..] else { panic!("{:?}", restored.exceptions) };
    for named in ["`_id` 10", "`at`", "privilege `remove` on `shop.orders`"] {
        assert!(exception.contains(named), "{named} is not in: {exception}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_with_a_password_and_with_a_certificate() {
    let certificates = Arc::new(Certificates::make().unwrap());
    let started = Options { auth: true, tls: Some(certificates.clone()), ..Options::default() };
    let set = Set::start(&[doc! {}, doc! { "priority": 0, "hidden": true }], started).await.unwrap();
    let client = set.client().await.unwrap();
    client.database("shop").collection("a").insert_one(doc! { "_id": 1 }).await.unwrap();
    let admin = client.database("admin");
    let roles = [doc! { "role": "backup", "db": "admin" }];
    admin.run_command(doc! { "createUser": "backups", "pwd": "secret", "roles": &roles }).await.unwrap();
    let by_certificate = doc! { "createUser": certificates::CLIENT, "roles": &roles };
    client.database("$external").run_command(by_certificate).await.unwrap();

    let free = ConnectOptions::default();
    let hidden = set.members()[1].address();
    // The role `backup` may not see the set's configuration: the URI names the hidden member.
    let password = set.uri_for("backups:secret@");
    let manifest = backup_of(&password, &free).await.0.unwrap();
    assert_eq!(manifest.source.member, hidden);
    let x509 = format!("{}&authMechanism=MONGODB-X509&authSource=$external", set.uri_for(""));
    let manifest = backup_of(&x509, &free).await.0.unwrap();
    assert_eq!(manifest.source.member, hidden);

    let wrong = backup_of(&set.uri_for("backups:wrong@"), &free).await.0.unwrap_err();
    assert_eq!(wrong.code(), Code::MongoAuth, "{wrong}");
    let untrusted = format!("mongodb://backups:secret@{hidden}/?directConnection=true&tls=true");
    let untrusted = backup_of(&untrusted, &free).await.0.unwrap_err();
    assert_eq!(untrusted.code(), Code::MongoAddress, "{untrusted}");
    assert!(format!("{untrusted:?}").contains("`tlsCAFile=`"), "{untrusted:?}");
    let plain = format!("mongodb://backups:secret@{hidden}/?directConnection=true");
    let plain = backup_of(&plain, &free).await.0.unwrap_err();
    assert!(format!("{plain:?}").contains("add `tls=true`"), "{plain:?}");
}
