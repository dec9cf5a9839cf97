//! Resources: kept, listed by pages, changed by one at a time.

use strongroom_service::model::Name;
use strongroom_service::state::deployments::DeploymentFilter;
use strongroom_service::state::plans::PlanFilter;
use strongroom_service::state::users::Proofs;
use strongroom_service::state::{PageRequest, StateError, deployments, locations, plans, users};

use super::bed::{Bed, first};
use super::on_both;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

on_both! {
    async fn what_is_stored_is_read_again(bed: Bed) {
        let plan = bed.plans(&["a"]).await.remove(0);
        assert_eq!(bed.plan_now(&plan).await, plan);
        let mut conn = bed.reader().await;
        let deployment = deployments::get(&mut conn, &plan.settings.deployment).await.unwrap().unwrap();
        assert_eq!(deployment.name, name("a"));
        assert!(locations::get(&mut conn, &plan.settings.location).await.unwrap().is_some());
    }

    async fn pages_go_from_the_newest_to_the_oldest(bed: Bed) {
        let made = bed.plans(&["a", "b", "c", "d", "e"]).await;
        let (mut seen, mut page) = (Vec::new(), first(2));
        let mut conn = bed.reader().await;
        loop {
            let got = plans::list(&mut conn, &PlanFilter::default(), &page).await.unwrap();
            seen.extend(got.items.into_iter().map(|plan| plan.id));
            match got.next {
                Some(next) => page = PageRequest { after: Some(next), ..page },
                None => break,
            }
        }
        let expected: Vec<_> = made.into_iter().rev().map(|plan| plan.id).collect();
        assert_eq!(seen, expected);
    }

    async fn a_name_is_taken_once(bed: Bed) {
        let mut tx = bed.begin().await;
        deployments::insert(&mut tx, &bed.deployment("a")).await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = bed.begin().await;
        let again = deployments::insert(&mut tx, &bed.deployment("a")).await;
        assert_eq!(again, Err(StateError::Taken { what: "name" }));
    }

    async fn a_login_is_taken_whatever_its_case(bed: Bed) {
        let mut tx = bed.begin().await;
        users::insert(&mut tx, &bed.user("Ada"), &Proofs::default()).await.unwrap();
        let (found, password) = users::by_login(&mut tx, &"aDA".parse().unwrap()).await.unwrap().unwrap();
        assert_eq!((found.login.as_str(), password), ("Ada", None));
        let again = users::insert(&mut tx, &bed.user("ADA"), &Proofs::default()).await;
        assert_eq!(again, Err(StateError::Taken { what: "login" }));
    }

    async fn a_plan_needs_its_deployment_and_keeps_it(bed: Bed) {
        let plan = bed.plans(&["a"]).await.remove(0);
        let mut tx = bed.begin().await;
        let deleted = deployments::delete(&mut tx, &plan.settings.deployment, 1).await;
        assert_eq!(deleted, Err(StateError::Referenced { by: "plans" }));
        let deleted = locations::delete(&mut tx, &plan.settings.location, 1).await;
        assert_eq!(deleted, Err(StateError::Referenced { by: "plans" }));
        plans::delete(&mut tx, &plan.id, 1).await.unwrap();
        deployments::delete(&mut tx, &plan.settings.deployment, 1).await.unwrap();
        let orphan = bed.plan("b", &plan.settings.deployment, &plan.settings.location);
        assert_eq!(plans::insert(&mut tx, &orphan).await, Err(StateError::Missing));
    }

    async fn of_two_changes_of_one_version_the_second_is_refused(bed: Bed) {
        let plan = bed.plans(&["a"]).await.remove(0);
        let mut tx = bed.begin().await;
        plans::update(&mut tx, &plan, 1).await.unwrap();
        assert_eq!(plans::update(&mut tx, &plan, 1).await, Err(StateError::Conflict));
        let mut deployment = deployments::get(&mut tx, &plan.settings.deployment).await.unwrap().unwrap();
        deployment.name = name("other");
        deployments::update(&mut tx, &deployment, 1).await.unwrap();
        assert_eq!(deployments::update(&mut tx, &deployment, 1).await, Err(StateError::Conflict));
        tx.commit().await.unwrap();
        assert_eq!(bed.plan_now(&plan).await.version, 2);
        let filter = DeploymentFilter { name: Some(name("other")), ..DeploymentFilter::default() };
        let found = deployments::list(&mut bed.reader().await, &filter, &first(1)).await.unwrap();
        assert_eq!(found.items[0].version, 2);
    }
}
