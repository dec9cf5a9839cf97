//! Who asks, and what for.

use sandbox::Sandbox;

use crate::setup::{outcome, owner};

#[tokio::test]
async fn a_bucket_of_another_owner_than_expected_is_refused() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let owner = owner(&sandbox).await;
    for (expected, outcomes) in [(sandbox.account().id(), "allowed"), ("999988887777", "AccessDenied")] {
        let put = owner.put_object().bucket("box").key("k").expected_bucket_owner(expected).send().await;
        let listed = owner.list_objects_v2().bucket("box").expected_bucket_owner(expected).send().await;
        assert_eq!([outcome(put), outcome(listed)], [outcomes; 2]);
    }
}
