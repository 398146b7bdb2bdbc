// Cross-entropy over a vocabulary with label smoothing (Szegedy et al. 2016, section 7): the gradient takes the logits' place.
#include "vector.h"

// For each row: losses = -sum_v q_v log p_v, logits = scale (p - q), with q = (1 - smoothing) [v = target] + smoothing / V.
// A row whose target is negative counts nothing.
extern "C" void cross_entropy(float* logits, const int64_t* targets, float* losses, int64_t rows, int64_t vocabulary, float smoothing,
                              float scale, int64_t threads) {
    const int64_t whole = vocabulary / LANES * LANES;
    const float each = smoothing / (float)vocabulary;
#pragma omp parallel for num_threads(threads) schedule(static) if (rows * vocabulary > (1 << 15))
    for (int64_t n = 0; n < rows; n++) {
        float* x = logits + n * vocabulary;
        if (targets[n] < 0) {
            losses[n] = 0;
            for (int64_t i = 0; i < vocabulary; i++) x[i] = 0;
            continue;
        }
        vec most = all(-INFINITY);
        for (int64_t i = 0; i < whole; i += LANES) most = larger(load(x + i), most);
        float top = largest(most);
        for (int64_t i = whole; i < vocabulary; i++) top = x[i] > top ? x[i] : top;
        // Of the differences to the largest: their sum for the smoothing, and the sum of their exponentials. Pieces of a
        // thousand are summed apart, so that the error does not grow with the vocabulary.
        double differences = 0, exponentials = 0;
        const float of_target = x[targets[n]] - top;
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
        const double log_sum = std::log(exponentials);
        losses[n] = (float)(log_sum - (1 - smoothing) * of_target - each * differences);
        const float factor = scale / (float)exponentials, less = scale * each;
        for (int64_t i = 0; i < whole; i += LANES) store(x + i, load(x + i) * factor - less);
        for (int64_t i = whole; i < vocabulary; i++) x[i] = x[i] * factor - less;
        x[targets[n]] -= scale * (1 - smoothing);
    }
}
