//! The story that `cargo dev up` and `cargo dev story` tell, told twice.

use anyhow::Result;
use e2e::scratch;
use e2e::story::Story;

use crate::world::{World, block_on};

#[test]
fn the_story_can_be_walked_again_by_another_customer() -> Result<()> {
    block_on(async {
        let world = World::shared_stories().await?;
        let _operator = world.operator("a").await?;
        let customers = world.customers("walking").await?;
        let mails = scratch::folder("walking")?;
        let walk = customers.doors(&mails, "")?;
        for _ in 0..2 {
            let customer = walk.come_in(Story::quiet()).await?;
            let bought = walk.buy(Story::quiet(), &customer).await?;
            walk.cancel(Story::quiet(), &customer, &bought).await?;
        }
        Ok(std::fs::remove_dir_all(&mails)?)
    })
}
