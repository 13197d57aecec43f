// Vectors of floats as the processor has them. Nothing here is left to the compiler's taste: every
// multiply-add is explicit, and all builds give the same bits.
#pragma once
#include <cstdint>
#include <cstring>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace ancestral {

#if defined(__AVX512F__)
constexpr int LANES = 16;
#elif defined(__AVX2__)
constexpr int LANES = 8;
#else
constexpr int LANES = 4;
#endif

typedef float Floats __attribute__((vector_size(LANES * 4)));
typedef int32_t Ints __attribute__((vector_size(LANES * 4)));

static inline Floats load(const float* from) {
    Floats v;
    std::memcpy(&v, from, sizeof v);
    return v;
}

static inline void store(float* to, Floats v) { std::memcpy(to, &v, sizeof v); }

static inline Floats all(float x) {
#if defined(__AVX512F__)
    return (Floats)_mm512_set1_ps(x);
#elif defined(__AVX2__)
    return (Floats)_mm256_set1_ps(x);
#else
    return Floats{x, x, x, x};
#endif
}

static inline Ints bits(Floats v) { return (Ints)v; }
static inline Floats floats(Ints v) { return (Floats)v; }

// a * b + c, rounded once.
static inline Floats fma(Floats a, Floats b, Floats c) {
#if defined(__AVX512F__)
    return (Floats)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__)
    return (Floats)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    Floats v;
    for (int i = 0; i < LANES; i++) v[i] = __builtin_fmaf(a[i], b[i], c[i]);
    return v;
#endif
}

// Both give `x` when it is not a number, so that a network's fault is not hidden.
static inline Floats at_least(Floats low, Floats x) { return low > x ? low : x; }
static inline Floats at_most(Floats high, Floats x) { return high < x ? high : x; }

static inline Floats select(Ints mask, Floats yes, Floats no) { return mask ? yes : no; }

// Numbers too small to be normal count as zero while this lives: they would cost 100 cycles each.
class FlushDenormals {
#if defined(__SSE__)
  public:
    FlushDenormals() : before_(__builtin_ia32_stmxcsr()) { __builtin_ia32_ldmxcsr(0x9fc0); }
    ~FlushDenormals() { __builtin_ia32_ldmxcsr(before_); }

  private:
    unsigned before_;
#endif
};

}  // namespace ancestral
