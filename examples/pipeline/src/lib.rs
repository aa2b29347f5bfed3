//! Prices a basket in steps. A pipeline asks now and has an answer, where a message is handled later.
//!
//! ```toml
//! [wiring.pipelines."org.example.basket.price.v1"]
//! steps = ["pipeline.lines", "pipeline.voucher", "pipeline.tax"]
//! public = true
//! ```
#![forbid(unsafe_code)]
use coordinator_sdk::prelude::*;

/// A basket, and its price as far as the steps have come.
#[data]
pub struct Basket {
    /// What is in it.
    pub lines: Vec<Line>,
    /// A voucher, if the buyer has one.
    pub voucher: Option<String>,
    /// The price, in whole minor units.
    pub minor: Option<i64>,
}

/// One line of a basket.
#[data]
pub struct Line {
    /// What it is.
    pub sku: String,
    /// How many.
    pub count: i64,
    /// The price of one, in whole minor units.
    pub minor: i64,
}

/// Settings of the price.
#[settings]
pub struct Pipeline {
    /// The tax, in per cent.
    #[setting(default = 19_u8)]
    tax_percent: u8,
}

#[plugin]
impl Pipeline {
    /// Adds the lines up.
    #[step("org.example.basket.price.v1", timeout = "500ms")]
    async fn lines(&self, _ctx: &Context, mut basket: Basket) -> Result<Flow<Basket>, StepError> {
        let mut sum = 0_i64;
        for line in &basket.lines {
            let price = line.minor.checked_mul(line.count);
            sum = price
                .and_then(|price| sum.checked_add(price))
                .ok_or_else(|| StepError::new(422, "too-much", "the basket is worth too much"))?;
        }
        basket.minor = Some(sum);
        if sum == 0 {
            return Ok(Flow::Halt(basket)); // nothing to pay: no voucher, no tax
        }
        Ok(Flow::Continue(basket))
    }

    /// Takes the voucher off. One that nobody knows fails the whole pipeline: its caller reads 422 and the code.
    #[step("org.example.basket.price.v1", timeout = "500ms")]
    async fn voucher(&self, _ctx: &Context, mut basket: Basket) -> Result<Flow<Basket>, StepError> {
        let off = match basket.voucher.as_deref() {
            None => 0,
            Some("TEN") => 1_000,
            Some(_) => {
                let detail = "this voucher is not known";
                return Err(StepError::new(422, "no-such-voucher", detail));
            }
        };
        basket.minor = basket.minor.map(|minor| (minor - off).max(0));
        Ok(Flow::Continue(basket))
    }

    /// Adds the tax, rounded up to a whole minor unit.
    #[step("org.example.basket.price.v1", timeout = "500ms")]
    async fn tax(&self, _ctx: &Context, mut basket: Basket) -> Result<Flow<Basket>, StepError> {
        let tax = |minor: i64| (minor * i64::from(self.tax_percent) + 99) / 100;
        basket.minor = basket.minor.map(|minor| minor + tax(minor));
        Ok(Flow::Continue(basket))
    }

    /// Prices a basket: runs the pipeline, whatever steps the operator has put into it.
    #[route(post, "/price", auth = public)]
    async fn price(&self, ctx: &Context, basket: Json<Basket>) -> Result<Json<Basket>, RouteError> {
        let priced = ctx.run("org.example.basket.price.v1", &basket.0).await?;
        Ok(Json(priced))
    }
}

#[cfg(test)]
mod tests;
