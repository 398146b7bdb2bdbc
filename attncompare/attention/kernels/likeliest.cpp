// What a search over tokens asks of logits: the largest of a row, and the logarithm of the sum of all e^logit.
#include <vector>

#include "vector.h"

namespace {

constexpr int64_t PIECE = 64 * LANES;  // numbers that are summed apart, so that the error does not grow with the vocabulary

// Up to sixteen numbers, the others -infinity.
inline vec padded(const float* from, int64_t count) {
    if (count >= LANES) return load(from);
    return choose(NUMBERED < (int32_t)count, load(from, count), all(-INFINITY));
}

double log_sum_exp(const float* x, int64_t count) {
    vec most = all(-INFINITY);
    for (int64_t i = 0; i < count; i += LANES) most = larger(padded(x + i, count - i), most);
    const float top = largest(most);
    if (top == -INFINITY && x[0] == x[0]) return -INFINITY;
    double whole = 0;
    for (int64_t begin = 0; begin < count; begin += PIECE) {
        vec total = {};
        for (int64_t i = begin; i < count && i < begin + PIECE; i += LANES) total += exponential(padded(x + i, count - i) - top);
        whole += sum(total);
    }
    return (double)top + std::log(whole);
}

// The `wanted` largest numbers of a row, sorted; of equal ones those that stand first.
struct Largest {
    float* values;
    int64_t* places;
    const int64_t wanted;
    int64_t found = 0;

    void take(float x, int64_t place) {
        int64_t at = found < wanted ? found++ : wanted - 1;
        for (; at > 0 && x > values[at - 1]; at--) values[at] = values[at - 1], places[at] = places[at - 1];
        values[at] = x, places[at] = place;
    }

    void look_at(const float* x, int64_t count) {
        int64_t i = 0;
        for (; i < wanted; i++) take(x[i], i);
        for (; i < count; i += LANES) {
            vec some = padded(x + i, count - i);
            if (!(largest(some) > values[wanted - 1])) continue;
            for (int64_t l = 0; l < LANES && i + l < count; l++)
                if (x[i + l] > values[wanted - 1]) take(x[i + l], i + l);
        }
    }
};

}  // namespace

// values, places: (rows, wanted); wanted is at most `count`, the numbers of a row.
extern "C" void likeliest(const float* x, float* values, int64_t* places, double* sums, int64_t rows, int64_t count, int64_t wanted,
                          int64_t threads) {
#pragma omp parallel for num_threads(threads) schedule(static) if (rows * count > (1 << 15))
    for (int64_t n = 0; n < rows; n++) {
        Largest{values + n * wanted, places + n * wanted, wanted}.look_at(x + n * count, count);
        sums[n] = log_sum_exp(x + n * count, count);
    }
}
