//! Users and roles: who is merged is said, nobody is lost, and nobody comes from where users are not kept.

use std::sync::{Arc, Mutex};

use bson::{Bson, Document, doc};
use strongroom_engine::deployment::Target;
use strongroom_engine::restore::{
    self, Existing, Grants, NotAll, Options, Restored, Source, StoredFunction, Users,
};
use strongroom_engine::{Compression, Event, Filter, Manifest, Observer};
use testbed::Mongod;
use testbed::mongod::Options as Arguments;
use tokio_util::sync::CancellationToken;

use crate::refused::{archive_of, case, opened};
use crate::setup::{backup, folder, job, options, restore_with, small_collections, unwatched};

#[derive(Default)]
pub(crate) struct Warnings(pub(crate) Mutex<Vec<String>>);

impl Observer for Warnings {
    fn observe(&self, event: &Event) {
        if let Event::Warning(warning) = event {
            self.0.lock().unwrap().push(warning.to_string());
        }
    }
}

async fn guarded() -> Mongod {
    Mongod::start(Arguments { replica_set: true, auth: true, ..Arguments::default() }).await.unwrap()
}

async fn user(server: &Mongod, name: &str, role: &str) -> String {
    let user = doc! { "createUser": name, "pwd": "secret", "roles": [role] };
    server.command("admin", user).await.unwrap();
    format!("{}&authSource=admin", server.uri_for(&format!("{name}:secret@")))
}

async fn has_user(server: &Mongod, name: &str) -> bool {
    let answer = server.command("admin", doc! { "usersInfo": name }).await.unwrap();
    !answer.get_array("users").unwrap().is_empty()
}

/// A copy of a user, as a restore that was killed leaves it.
async fn leave_copy(server: &Mongod) {
    let left = server.client().await.unwrap().database("admin").collection::<Document>("tempusers");
    left.insert_one(doc! { "_id": "admin.old", "user": "old", "db": "admin", "roles": [] }).await.unwrap();
}

/// A backup of a server with a user and two databases.
async fn with_alice(place: &std::path::Path) -> Manifest {
    let source = guarded().await;
    user(&source, "alice", "root").await;
    let client = source.client().await.unwrap();
    for db in ["one", "two"] {
        client.database(db).collection::<Document>("a").insert_one(doc! { "_id": 1 }).await.unwrap();
    }
    leave_copy(&source).await;
    backup(&source, &folder(place), options(Compression::None)).await.unwrap()
}

async fn restore_as(uri: &str, source: Source, filter: &str, heard: Arc<Warnings>) -> Restored {
    let target = Target::connect(&uri.parse().unwrap()).await.unwrap();
    let filter = Filter::new(vec![filter.to_owned(), "admin.*".to_owned()], vec![]).unwrap();
    let prepared = restore::prepare(source, target, Options { filter, ..Options::default() }).await.unwrap();
    prepared.run(job(heard, CancellationToken::new())).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_restores_at_once_lose_no_user() {
    let place = tempfile::tempdir().unwrap();
    let manifest = Arc::new(with_alice(place.path()).await);
    let names: Vec<String> =
        manifest.namespaces.iter().map(|n| format!("{}.{}", n.db, n.collection)).collect();
    assert!(!names.contains(&"admin.tempusers".to_owned()), "copies of users are no data: {names:?}");
    let source = || Source::backup(folder(place.path()), manifest.clone());
    let target = guarded().await;
    let restorer = user(&target, "restorer", "restore").await;
    let heard = Arc::new(Warnings::default());
    let (one, two) = tokio::join!(
        restore_as(&restorer, source(), "one.*", heard.clone()),
        restore_as(&restorer, source(), "two.*", heard.clone()),
    );
    assert_eq!((one.exceptions, two.exceptions), (vec![], vec![]));
    assert!(has_user(&target, "alice").await && has_user(&target, "restorer").await);
    assert!(!has_user(&target, "old").await);
    let left = target.client().await.unwrap().database("admin").list_collection_names().await.unwrap();
    assert!(!left.iter().any(|name| name.starts_with("temp")), "{left:?}");
    let heard = heard.0.lock().unwrap().join("\n");
    assert!(heard.contains("user `alice@admin` (root@admin)"), "{heard}");
    assert!(heard.contains("`alice@admin` may do anything"), "{heard}");
}

/// What a dry run says of users, roles and stored functions.
async fn grants(source: Source, target: &Mongod, settings: Options) -> Option<Grants> {
    let target = Target::connect(&target.uri().parse().unwrap()).await.unwrap();
    let mut prepared = restore::prepare(source, target, settings).await.unwrap();
    prepared.name_grants(&unwatched()).await.unwrap();
    prepared.preview().grants.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_names_users_roles_and_stored_functions_and_who_may_do_anything() {
    let (source, target) = (Mongod::standalone().await.unwrap(), Mongod::standalone().await.unwrap());
    user(&source, "alice", "root").await;
    let roles =
        doc! { "createRole": "plants", "privileges": [], "roles": [{ "role": "read", "db": "shop" }] };
    source.command("shop", roles).await.unwrap();
    let plain = doc! { "createUser": "bob", "pwd": "secret", "roles": ["plants"] };
    source.command("shop", plain).await.unwrap();
    let total = doc! { "_id": "total", "value": Bson::JavaScriptCode("function () { return 1 }".into()) };
    let functions = source.client().await.unwrap().database("shop").collection::<Document>("system.js");
    functions.insert_one(total).await.unwrap();
    small_collections(&source).await;
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let manifest = Arc::new(backup(&source, &store, options(Compression::None)).await.unwrap());
    let from_backup = || Source::backup(store.clone(), manifest.clone());

    let named = grants(from_backup(), &target, Options::default()).await.unwrap();
    let said: Vec<_> = named.users.iter().map(|one| (one.to_string(), one.is_powerful)).collect();
    let expected = [
        ("user `alice@admin` (root@admin)", true),
        ("user `bob@shop` (plants@shop)", false),
        ("role `plants@shop` (read@shop)", false),
    ];
    assert_eq!(said, expected.map(|(one, is_powerful)| (one.to_owned(), is_powerful)));
    let total = StoredFunction { namespace: "shop.system.js".into(), name: "total".into() };
    assert_eq!((named.functions, named.not_all), (vec![total], None));

    let without = Options {
        users: Users::None,
        filter: Filter::new(vec![], vec!["*.system.js".into()]).unwrap(),
        ..Options::default()
    };
    assert_eq!(grants(from_backup(), &target, without).await, None);
    assert!(!has_user(&target, "alice").await, "nothing has been changed");

    let archive = opened(archive_of(&[("$admin.system.users", "{}")], &[])).await;
    let later = grants(archive, &target, Options::default()).await.unwrap();
    assert_eq!(later, Grants { not_all: Some(NotAll::Archive), ..Grants::default() });
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_of_users_that_another_restore_left_are_dropped_and_said() {
    let place = tempfile::tempdir().unwrap();
    let manifest = Arc::new(with_alice(place.path()).await);
    let target = guarded().await;
    leave_copy(&target).await;
    let heard = Arc::new(Warnings::default());
    let source = Source::backup(folder(place.path()), manifest);
    restore_as(&target.uri(), source, "one.*", heard.clone()).await;
    assert!(has_user(&target, "alice").await && !has_user(&target, "old").await);
    let heard = heard.0.lock().unwrap().join("\n");
    assert!(heard.contains("`admin.tempusers` was in the target"), "{heard}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_skipped_is_named_and_counted_as_nothing_else() {
    let target = Mongod::standalone().await.unwrap();
    for (name, skipped) in [
        ("tempusers-plain", "admin.tempusers"),
        ("local-mine", "local.mine"),
        ("system-users-24", "system.users"),
    ] {
        let again = Options { existing: Existing::Drop, ..Options::default() };
        let restored = restore_with(case(name).await, &target, again).await.unwrap();
        assert!(restored.skipped.iter().any(|left| left.ends_with(skipped)), "{name}: {restored:?}");
        let counted = restored.exceptions.iter().any(|said| said.contains(skipped));
        assert!(counted, "its documents are counted, {name}: {:?}", restored.exceptions);
    }
    let users = target.command("admin", doc! { "usersInfo": { "forAllDBs": true } }).await.unwrap();
    let users =
        users.get_array("users").unwrap().iter().filter_map(|user| user.as_document()?.get_str("user").ok());
    assert_eq!(users.collect::<Vec<_>>(), ["anna"], "who was planted among the copies did not come");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_is_refused_costs_no_other_user_and_nothing_else() {
    let user = |name: &str, roles: Bson| {
        doc! { "_id": format!("shop.{name}"), "user": name, "db": "shop", "credentials": {}, "roles": roles }
    };
    let users = [user("anna", Bson::Array(vec![])), user("bob", 5.into()), user("carl", Bson::Array(vec![]))];
    let target = Mongod::standalone().await.unwrap();
    let archive = archive_of(&[("$admin.system.users", "{}")], &users);
    let restored = restore_with(opened(archive).await, &target, Options::default()).await.unwrap();
    assert_eq!((restored.documents, restored.exceptions.len()), (2, 1), "{:?}", restored.exceptions);
    assert!(
        restored.exceptions[0].starts_with("user `bob@shop` is not restored"),
        "{:?}",
        restored.exceptions
    );
    for (name, is_there) in [("anna", true), ("bob", false), ("carl", true)] {
        let found = target.command("shop", doc! { "usersInfo": name }).await.unwrap();
        assert_eq!(!found.get_array("users").unwrap().is_empty(), is_there, "{name}");
    }
    let left = target.client().await.unwrap().database("admin").list_collection_names().await.unwrap();
    assert!(!left.iter().any(|name| name.starts_with("temp")), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_without_a_name_costs_no_other_role() {
    let target = Mongod::standalone().await.unwrap();
    let role = |name: &str| doc! { "_id": format!("shop.{name}"), "role": name, "db": "shop", "privileges": [], "roles": [] };
    let nameless = doc! { "_id": "shop.x", "db": "shop", "privileges": [], "roles": [] };
    let archive = archive_of(&[("$admin.system.roles", "{}")], &[role("first"), nameless, role("last")]);
    let restored = restore_with(opened(archive).await, &target, Options::default()).await.unwrap();
    assert_eq!((restored.documents, restored.exceptions.len()), (2, 1), "{:?}", restored.exceptions);
    assert!(restored.exceptions[0].contains("is not restored"), "{:?}", restored.exceptions);
    for name in ["first", "last"] {
        let found = target.command("shop", doc! { "rolesInfo": name }).await.unwrap();
        assert_eq!(found.get_array("roles").unwrap().len(), 1, "{name}");
    }
}
