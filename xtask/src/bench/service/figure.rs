//! A figure beside the bound that it must keep.

/// What a figure must be.
#[derive(Clone, Copy)]
pub(super) enum Bound {
    Below(f64),
    AtLeast(f64),
}

/// Prints a figure, and whether it is within its bound.
pub(super) fn figure(what: &str, value: f64, unit: &str, bound: Bound) {
    let (holds, wanted) = match bound {
        Bound::Below(limit) => (value < limit, format!("below {limit}")),
        Bound::AtLeast(limit) => (value >= limit, format!("at least {limit}")),
    };
    let verdict = if holds { "holds" } else { "MISSED" };
    println!("{what:<62} {value:>9.2} {unit:<5} ({wanted}: {verdict})");
}
