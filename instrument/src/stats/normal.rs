// SPDX-License-Identifier: Apache-2.0
//! Quantiles of the normal distribution and of Student's.

/// The quantile of the standard normal distribution (0 < p < 1), by Acklam's rational approximation: relative error below
/// 1.2e-9.
pub(crate) fn normal_quantile(p: f64) -> f64 {
    const CENTRE: ([f64; 6], [f64; 6]) = (
        [
            -3.969_683_028_665_376e1,
            2.209_460_984_245_205e2,
            -2.759_285_104_469_687e2,
            1.383_577_518_672_69e2,
            -3.066_479_806_614_716e1,
            2.506_628_277_459_239,
        ],
        [
            -5.447_609_879_822_406e1,
            1.615_858_368_580_409e2,
            -1.556_989_798_598_866e2,
            6.680_131_188_771_972e1,
            -1.328_068_155_288_572e1,
            1.0,
        ],
    );
    const TAIL: ([f64; 6], [f64; 5]) = (
        [
            -7.784_894_002_430_293e-3,
            -3.223_964_580_411_365e-1,
            -2.400_758_277_161_838,
            -2.549_732_539_343_734,
            4.374_664_141_464_968,
            2.938_163_982_698_783,
        ],
        [
            7.784_695_709_041_462e-3,
            3.224_671_290_700_398e-1,
            2.445_134_137_142_996,
            3.754_408_661_907_416,
            1.0,
        ],
    );
    const TAIL_BELOW: f64 = 0.024_25;
    if p > 0.5 {
        return -normal_quantile(1.0 - p);
    }
    if p < TAIL_BELOW {
        let root = (-2.0 * p.ln()).sqrt();
        return polynomial(&TAIL.0, root) / polynomial(&TAIL.1, root);
    }
    let from_half = p - 0.5;
    let square = from_half * from_half;
    from_half * polynomial(&CENTRE.0, square) / polynomial(&CENTRE.1, square)
}

/// The highest power's factor first.
fn polynomial(factors: &[f64], at: f64) -> f64 {
    factors.iter().fold(0.0, |sum, factor| sum * at + factor)
}

/// The quantile of Student's distribution (0.5 < p < 1) by Hill's approximation (Communications of the ACM 13, algorithm
/// 396): within 0.1 % from 3 degrees of freedom on. They need not be whole, and may be infinite.
#[expect(clippy::many_single_char_names, reason = "those of the algorithm as it was published")]
pub(crate) fn student_quantile(p: f64, degrees: f64) -> f64 {
    let both = 2.0 * (1.0 - p);
    let n = degrees.max(2.0);
    if n > 1e6 {
        return normal_quantile(p);
    }
    if n <= 2.0 {
        return (2.0 / (both * (2.0 - both)) - 2.0).sqrt();
    }
    let a = 1.0 / (n - 0.5);
    let b = 48.0 / (a * a);
    let mut c = ((20_700.0 * a / b - 98.0) * a - 16.0) * a + 96.36;
    let d = ((94.5 / (b + c) - 3.0) / b + 1.0) * (a * std::f64::consts::FRAC_PI_2).sqrt() * n;
    let far = (d * both).powf(2.0 / n);
    let square = if far > 0.05 + a {
        let x = normal_quantile(1.0 - p);
        let y = x * x;
        if n < 5.0 {
            c += 0.3 * (n - 4.5) * (x + 0.6);
        }
        c += (((0.05 * d * x - 5.0) * x - 7.0) * x - 2.0) * x + b;
        let y = (((((0.4 * y + 6.3) * y + 36.0) * y + 94.5) / c - y - 3.0) / b + 1.0) * x;
        (a * y * y).exp_m1()
    } else {
        let inner = ((n + 6.0) / (n * far) - 0.089 * d - 0.822) * (n + 2.0) * 3.0;
        ((1.0 / inner + 0.5 / (n + 4.0)) * far - 1.0) * (n + 1.0) / (n + 2.0) + 1.0 / far
    };
    (n * square).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (p, z) in [(0.5, 0.0), (0.975, 1.959_964), (0.999, 3.090_232), (1e-6, -4.753_424)] {
            assert!((normal_quantile(p) - z).abs() < 1e-6, "{p}");
        }
        // R: qt(p, degrees).
        for (p, degrees, t) in [
            (0.999, 18.0, 3.610_5),
            (0.999, 8.0, 4.500_8),
            (0.999, 4.0, 7.173_2),
            (0.999, 3.0, 10.214_5),
            (0.975, 10.0, 2.228_1),
            (0.975, 2.0, 4.302_7),
            (0.95, 30.0, 1.697_3),
            (0.975, f64::INFINITY, 1.960_0),
        ] {
            let ours = student_quantile(p, degrees);
            assert!((ours / t - 1.0).abs() < 0.002, "{p}, {degrees}: {ours} and {t}");
        }
    }
}
