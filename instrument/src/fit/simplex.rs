// SPDX-License-Identifier: Apache-2.0
//! The least value of a function of a few numbers, by Nelder and Mead's simplex.

/// Steps at most; three numbers take about 150.
const STEPS: usize = 600;
/// What a step must bring: a thousandth of what a likelihood can tell apart.
const ENOUGH: f64 = 1e-4;

/// Where `f` is least, beginning at `start` with these first steps, and the value there.
pub(super) fn least(f: impl Fn(&[f64]) -> f64, start: &[f64], step: &[f64]) -> (Vec<f64>, f64) {
    let value = |at: &[f64]| Some(f(at)).filter(|v| !v.is_nan()).unwrap_or(f64::INFINITY);
    let corner = |moved: Option<usize>| {
        let mut at = start.to_vec();
        if let Some(moved) = moved {
            at[moved] += step[moved];
        }
        (value(&at), at)
    };
    let mut corners: Vec<_> =
        std::iter::once(None).chain((0..start.len()).map(Some)).map(corner).collect();
    for _ in 0..STEPS {
        corners.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (best, worst) = (corners[0].0, corners[start.len()].0);
        if worst - best < ENOUGH && spread(&corners) < 1e-6 {
            break;
        }
        replace_worst(&value, &mut corners);
    }
    corners.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (least, at) = corners.swap_remove(0);
    (at, least)
}

type Corner = (f64, Vec<f64>);

/// One step: reflect the worst corner, stretch or shrink.
fn replace_worst(value: &impl Fn(&[f64]) -> f64, corners: &mut [Corner]) {
    let last = corners.len() - 1;
    let middle: Vec<f64> = (0..last)
        .map(|n| corners[..last].iter().map(|(_, at)| at[n]).sum::<f64>() / last as f64)
        .collect();
    let towards = |from: &[f64], by: f64| {
        let at: Vec<f64> = middle.iter().zip(from).map(|(m, w)| m + by * (w - m)).collect();
        (value(&at), at)
    };
    let worst = corners[last].clone();
    let reflected = towards(&worst.1, -1.0);
    if reflected.0 < corners[0].0 {
        let further = towards(&worst.1, -2.0);
        corners[last] = if further.0 < reflected.0 { further } else { reflected };
        return;
    }
    if reflected.0 < corners[last - 1].0 {
        corners[last] = reflected;
        return;
    }
    let nearer = towards(&worst.1, if reflected.0 < worst.0 { -0.5 } else { 0.5 });
    if nearer.0 < worst.0.min(reflected.0) {
        corners[last] = nearer;
        return;
    }
    let best = corners[0].1.clone();
    for (found, at) in &mut corners[1..] {
        at.iter_mut().zip(&best).for_each(|(x, b)| *x = b + 0.5 * (*x - b));
        *found = value(at);
    }
}

fn spread(corners: &[Corner]) -> f64 {
    let first = &corners[0].1;
    let distance =
        |at: &Vec<f64>| at.iter().zip(first).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    corners.iter().map(|(_, at)| distance(at)).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curved_valley_is_followed_to_its_end() {
        let rosenbrock = |x: &[f64]| 100.0 * (x[1] - x[0] * x[0]).powi(2) + (1.0 - x[0]).powi(2);
        let (at, value) = least(rosenbrock, &[-1.2, 1.0], &[0.5, 0.5]);
        assert!(value < 1e-6 && (at[0] - 1.0).abs() < 1e-3, "{at:?}: {value}");
    }
}
