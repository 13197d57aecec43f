// The functions of a step on vectors, of our own: a library's would differ from build to build.
// Errors are below 2e-7, relative for exp and absolute for those that lie within [-1, 1].
#pragma once
#include "vector.h"

#define FUNCTION static inline __attribute__((always_inline))

namespace ancestral {

// 2^n for a whole number −126 <= n <= 127 that 1.5 * 2^23 was added to.
FUNCTION Floats two_to(Floats shifted) { return floats((bits(shifted) << 23) + (127 << 23)); }

// Cephes' expf: 2^n times a polynomial on [-ln 2 / 2, ln 2 / 2]. Below -87.3 it stays at 1e-38.
FUNCTION Floats exp(Floats x) {
    const Floats magic = all(12582912.0f);  // 1.5 * 2^23: adding it rounds to a whole number
    x = at_least(all(-87.3f), at_most(all(88.0f), x));
    const Floats shifted = fma(x, all(1.44269504f), magic);
    const Floats n = shifted - magic;
    Floats r = fma(n, all(-0.693359375f), x);
    r = fma(n, all(2.12194440e-4f), r);
    Floats p = all(1.9875691500e-4f);
    p = fma(p, r, all(1.3981999507e-3f));
    p = fma(p, r, all(8.3334519073e-3f));
    p = fma(p, r, all(4.1665795894e-2f));
    p = fma(p, r, all(1.6666665459e-1f));
    p = fma(p, r, all(5.0000001201e-1f));
    return (fma(p, r * r, r) + 1.0f) * two_to(shifted);
}

// Cephes' logf for normal numbers above 0.
FUNCTION Floats log(Floats x) {
    const Ints raw = bits(x);
    Ints exponent = (raw >> 23) - 126;
    Floats m = floats((raw & 0x007fffff) | 0x3f000000);  // in [1/2, 1)
    const Ints small = m < 0.70710678f;
    exponent += small;  // a mask is −1
    m = m + select(small, m, Floats{}) - 1.0f;
    const Floats e = __builtin_convertvector(exponent, Floats), square = m * m;
    Floats p = all(7.0376836292e-2f);
    p = fma(p, m, all(-1.1514610310e-1f));
    p = fma(p, m, all(1.1676998740e-1f));
    p = fma(p, m, all(-1.2420140846e-1f));
    p = fma(p, m, all(1.4249322787e-1f));
    p = fma(p, m, all(-1.6668057665e-1f));
    p = fma(p, m, all(2.0000714765e-1f));
    p = fma(p, m, all(-2.4999993993e-1f));
    p = fma(p, m, all(3.3333331174e-1f));
    Floats y = p * m * square;
    y = fma(e, all(-2.12194440e-4f), y);
    y = fma(square, all(-0.5f), y);
    return fma(e, all(0.693359375f), m + y);
}

// 2^x for |x| <= 126 by a minimax polynomial, exact at 0: relative error below 1.6e-7.
FUNCTION Floats power_of_two(Floats x) {
    const Floats magic = all(12582912.0f), shifted = x + magic, r = x - (shifted - magic);
    Floats p = all(1.32647273e-3f);
    p = fma(p, r, all(9.67151299e-3f));
    p = fma(p, r, all(5.55073358e-2f));
    p = fma(p, r, all(2.40222424e-1f));
    p = fma(p, r, all(6.93147004e-1f));
    return fma(p, r, all(1.0f)) * two_to(shifted);
}

// exp(−x), from 1e-38 to 1e38.
FUNCTION Floats exp_minus(Floats x) {
    return power_of_two(at_least(all(-126.0f), at_most(all(126.0f), x * -1.44269504f)));
}

// exp(−2x), from 1e-8 to 1e8: beyond, tanh is 1 in single precision.
FUNCTION Floats exp_minus_twice(Floats x) {
    return power_of_two(at_least(all(-26.0f), at_most(all(26.0f), x * -2.88539008f)));
}

FUNCTION Floats sigmoid(Floats x) { return 1.0f / (1.0f + exp_minus(x)); }

// tanh(x) = (1 − exp(−2x)) / (1 + exp(−2x)).
FUNCTION Floats tanh(Floats x) {
    const Floats e = exp_minus_twice(x);
    return (1.0f - e) / (1.0f + e);
}

// tanh(a) * sigmoid(b), with one division for both.
FUNCTION Floats gated(Floats a, Floats b) {
    const Floats e = exp_minus_twice(a);
    return (1.0f - e) / ((1.0f + e) * (1.0f + exp_minus(b)));
}

// log(sigmoid(x)) = min(x, 0) − log(1 + exp(−|x|)).
FUNCTION Floats log_sigmoid(Floats x) {
    const Floats magnitude = select(x < 0.0f, -x, x);
    return at_most(Floats{}, x) - log(1.0f + exp(-magnitude));
}

// 1 − exp(−x) for x >= 0, to its own precision where x is small.
FUNCTION Floats one_minus_exp(Floats x) {
    Floats p = all(1.0f / 5040);
    p = fma(p, -x, all(1.0f / 720));
    p = fma(p, -x, all(1.0f / 120));
    p = fma(p, -x, all(1.0f / 24));
    p = fma(p, -x, all(1.0f / 6));
    p = fma(p, -x, all(0.5f));
    p = fma(p, -x, all(1.0f));
    return select(x < 0.5f, p * x, 1.0f - exp(-x));
}

}  // namespace ancestral

#undef FUNCTION
