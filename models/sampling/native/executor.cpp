// The native executor of step programs: see abi.h for what it is handed, machine.h for what it does.
#include <chrono>

#include "machine.h"

#define ANCESTRAL_EXPORT extern "C" __attribute__((visibility("default")))

ANCESTRAL_EXPORT int32_t ancestral_abi(void) { return ancestral::ABI; }

// What this processor can run: 0 anything, 1 AVX2 and FMA, 2 AVX-512, 3 its bfloat16 products too.
ANCESTRAL_EXPORT int32_t ancestral_processor(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return 0;
    for (const bool has : {__builtin_cpu_supports("avx512f") != 0,
                           __builtin_cpu_supports("avx512bw") != 0,
                           __builtin_cpu_supports("avx512dq") != 0,
                           __builtin_cpu_supports("avx512vl") != 0})
        if (!has) return 1;
    return __builtin_cpu_supports("avx512bf16") ? 3 : 2;
#else
    return 0;
#endif
}

// Goes on by so many positions in every unit of a call; nothing can go wrong.
ANCESTRAL_EXPORT void ancestral_run(const ancestral::Program* program,
                                    const ancestral::Call* call) {
    const ancestral::FlushDenormals guard{};
    if (call->wide) ancestral::Machine<ancestral::BLOCK>(*program, *call).run();
    else ancestral::Machine<1>(*program, *call).run();
}

// GFLOP/s of multiply-adds on one core, with everything in registers.
template <class Kind>
static double peak_gflops(double seconds) {
    using namespace ancestral;
    using Clock = std::chrono::steady_clock;
    constexpr int CHAINS = 12, TURNS = 1 << 18;
    Floats sum[CHAINS] = {};
    const Floats factor = all(1);
    double best = 0;
    const auto start = Clock::now();
    do {
        const auto began = Clock::now();
        for (int turn = 0; turn < TURNS; turn++) {
#pragma GCC unroll 16
            for (int chain = 0; chain < CHAINS; chain++)
                sum[chain] = Kind::multiply_add(factor, factor, sum[chain]);
        }
        for (const Floats& own : sum) asm volatile("" : : "m"(own));
        const double taken = std::chrono::duration<double>(Clock::now() - began).count();
        const double flops = 2.0 * LANES * Kind::per_step * CHAINS * TURNS;
        best = std::max(best, flops / taken / 1e9);
    } while (std::chrono::duration<double>(Clock::now() - start).count() < seconds);
    return best;
}

// What this build's products could reach; 0 in bfloat16 if it has no such products.
ANCESTRAL_EXPORT double ancestral_multiply_add_gflops(double seconds, int32_t bfloat16) {
    if (!bfloat16) return peak_gflops<ancestral::Single>(seconds);
#if defined(__AVX512BF16__)
    return peak_gflops<ancestral::Pairs>(seconds);
#else
    return 0;
#endif
}
