// Dropout (Srivastava et al. 2014) from a counter: the backward pass draws the same numbers again instead of keeping them.
#include "vector.h"

namespace {

template <typename From, typename To>
void drop(const float* base, const From* x, To* to, int64_t count, float probability, uint32_t seed, int64_t threads) {
    const int64_t step = 1 << 14;
#pragma omp parallel for num_threads(threads) schedule(static) if (count > step)
    for (int64_t begin = 0; begin < count; begin += step) {
        int64_t end = begin + step < count ? begin + step : count;
        Dropout mask(probability, seed, (uint32_t)(begin / step));
        for (int64_t j = begin; j < end; j += LANES) {
            vec y = load(x + j, end - j) * mask.at((uint32_t)(j - begin));
            store(to + j, base ? load(base + j, end - j) + y : y, end - j);
        }
    }
}

}  // namespace

// to = base + (0 or x / (1 - probability)); no base: nothing is added. Either of x and to may be bfloat16.
extern "C" void dropout(const float* base, const void* x, void* to, int64_t count, float probability, uint32_t seed, int64_t threads,
                        int64_t from_half, int64_t to_half) {
    if (from_half) drop(base, (const Half*)x, (float*)to, count, probability, seed, threads);
    else if (to_half) drop(base, (const float*)x, (Half*)to, count, probability, seed, threads);
    else drop(base, (const float*)x, (float*)to, count, probability, seed, threads);
}
