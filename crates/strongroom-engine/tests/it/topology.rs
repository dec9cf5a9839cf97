//! explore
use bson::doc;
use std::sync::Arc;
use testbed::{Set, certificates::Certificates, mongod::Options};
#[tokio::test(flavor = "multi_thread")]
async fn explore() {
    let tls = Some(Arc::new(Certificates::make().unwrap()));
    let set = Set::start(
        &[doc! {}, doc! {"hidden": true, "priority": 0, "tags": {"use": "backup"}}],
        Options { auth: true, tls, ..Options::default() },
    )
    .await
    .unwrap();
    let c = set.client().await.unwrap();
    for role in ["backup", "restore"] {
        c.database("admin")
            .run_command(doc! {"createUser": role, "pwd": "x", "roles": [role]})
            .await
            .unwrap();
    }
    println!("{}", set.members()[1].command_here("admin", doc! {"hello": 1}).await.unwrap());
    for role in ["backup", "restore"] {
        let u = mongodb_client(&set.uri_for(&format!("{role}:x@"))).await.database("admin");
        println!(
            "PRIV {role} {}",
            u.run_command(doc! {"connectionStatus": 1, "showPrivileges": true}).await.unwrap()
        );
        for cmd in [
            doc! {"replSetGetConfig": 1},
            doc! {"replSetGetStatus":1},
            doc! {"serverStatus": 1},
            doc! {"getParameter":1, "minSnapshotHistoryWindowInSeconds":1},
        ] {
            println!(
                "CMD {cmd} {:?}",
                u.run_command(cmd.clone()).await.map(|d| d.to_string().chars().take(300).collect::<String>())
            );
        }
        println!(
            "find replset {:?}",
            u.client().database("local").run_command(doc! {"find": "system.replset"}).await
        );
        println!(
            "find oplog {:?}",
            u.client()
                .database("local")
                .run_command(doc! {"find": "oplog.rs", "limit": 1, "singleBatch": true})
                .await
                .is_ok()
        );
    }
}
async fn mongodb_client(u: &str) -> testbed::set::Client {
    testbed::set::Client::with_uri_str(u).await.unwrap()
}
