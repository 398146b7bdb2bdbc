// Dropout (Srivastava et al. 2014) from a counter: the backward pass draws the same numbers again instead of keeping them.
#include "vector.h"

// to = base + (0 or x / (1 - probability)); no base: nothing is added.
extern "C" void dropout(const float* base, const float* x, float* to, int64_t count, float probability, uint32_t seed, int64_t threads) {
    const int64_t step = 1 << 14;
#pragma omp parallel for num_threads(threads) schedule(static) if (count > step)
    for (int64_t begin = 0; begin < count; begin += step) {
        int64_t end = begin + step < count ? begin + step : count;
        Dropout mask(probability, seed, (uint32_t)(begin / step));
        int64_t j = begin;
        for (; j + LANES <= end; j += LANES) {
            vec y = load(x + j) * mask.at((uint32_t)(j - begin));
            store(to + j, base ? load(base + j) + y : y);
        }
        if (j < end) {
            vec factors = mask.at((uint32_t)(j - begin));
            for (int64_t l = 0; j + l < end; l++) to[j + l] = (base ? base[j + l] : 0) + x[j + l] * factors[l];
        }
    }
}
