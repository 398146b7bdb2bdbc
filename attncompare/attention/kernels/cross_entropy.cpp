// Cross-entropy over a vocabulary with label smoothing (Szegedy et al. 2016, section 7): the gradient takes the logits' place.
#include <vector>

#include "vector.h"

namespace {

// Returns the loss of a row, -sum_v q_v log p_v with q = (1 - smoothing) [v = target] + smoothing / V, and writes scale (p - q)
// in the place of its logits.
float become_gradient(float* x, int64_t target, int64_t vocabulary, float smoothing, float scale) {
    const int64_t whole = vocabulary / LANES * LANES;
    const float each = smoothing / (float)vocabulary;
    vec most = all(-INFINITY);
    for (int64_t i = 0; i < whole; i += LANES) most = larger(load(x + i), most);
    float top = largest(most);
    for (int64_t i = whole; i < vocabulary; i++) top = x[i] > top ? x[i] : top;
    // Of the differences to the largest: their sum for the smoothing, and the sum of their exponentials. Pieces of a
    // thousand are summed apart, so that the error does not grow with the vocabulary.
    double differences = 0, exponentials = 0;
    const float of_target = x[target] - top;
    for (int64_t begin = 0; begin < whole; begin += 64 * LANES) {
        vec difference = {}, total = {};
        for (int64_t i = begin; i < whole && i < begin + 64 * LANES; i += LANES) {
            vec y = load(x + i) - top, e = exponential(y);
            difference += y;
            total += e;
            store(x + i, e);
        }
        differences += sum(difference), exponentials += sum(total);
    }
    for (int64_t i = whole; i < vocabulary; i++) {
        float y = x[i] - top;
        differences += y;
        x[i] = exponential(all(y))[0];
        exponentials += x[i];
    }
    const float factor = scale / (float)exponentials, less = scale * each;
    for (int64_t i = 0; i < whole; i += LANES) store(x + i, load(x + i) * factor - less);
    for (int64_t i = whole; i < vocabulary; i++) x[i] = x[i] * factor - less;
    x[target] -= scale * (1 - smoothing);
    return (float)(std::log(exponentials) - (1 - smoothing) * of_target - each * differences);
}

// Likewise for bfloat16, by way of a row of floats.
float become_gradient(Half* x, int64_t target, int64_t vocabulary, float smoothing, float scale) {
    thread_local std::vector<float> row;
    row.resize(vocabulary);
    for (int64_t i = 0; i < vocabulary; i += LANES) store(&row[i], load(x + i, vocabulary - i), vocabulary - i);
    float loss = become_gradient(row.data(), target, vocabulary, smoothing, scale);
    for (int64_t i = 0; i < vocabulary; i += LANES) store(x + i, load(&row[i], vocabulary - i), vocabulary - i);
    return loss;
}

template <typename Number>
void cross_entropy(Number* logits, const int64_t* targets, float* losses, int64_t rows, int64_t vocabulary, float smoothing, float scale,
                   int64_t threads) {
#pragma omp parallel for num_threads(threads) schedule(static) if (rows * vocabulary > (1 << 15))
    for (int64_t n = 0; n < rows; n++) {
        Number* x = logits + n * vocabulary;
        if (targets[n] >= 0) {
            losses[n] = become_gradient(x, targets[n], vocabulary, smoothing, scale);
        } else {  // such a row counts nothing
            losses[n] = 0;
            std::memset(x, 0, vocabulary * sizeof(Number));
        }
    }
}

}  // namespace

extern "C" void cross_entropy(void* logits, const int64_t* targets, float* losses, int64_t rows, int64_t vocabulary, float smoothing,
                              float scale, int64_t threads, int64_t half) {
    if (half) cross_entropy((Half*)logits, targets, losses, rows, vocabulary, smoothing, scale, threads);
    else cross_entropy((float*)logits, targets, losses, rows, vocabulary, smoothing, scale, threads);
}
