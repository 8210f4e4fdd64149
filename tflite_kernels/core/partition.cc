#include "tflite_kernels/core/partition.h"

namespace edgeax {
namespace {

// Each level allows kStride times as many cuts as the one before it. The coarsest has about
// kPlacesPerInterval places for each interval, and as many singly at both ends, where the values of
// a layer are few and lie apart.
constexpr int32_t kStride = 8;
constexpr int32_t kPlacesPerInterval = 16;

// Cuts are allowed at places 0 to `count`: next to each of the first and last `single` values, and
// at every `stride`-th between them.
struct Level {
  const PartitionSums* sums;
  int32_t size;  // values
  int32_t single;
  int32_t stride;
  int32_t count;
};

// A cut: interval by interval from the end, `before[place]` is where the one that ends there
// begins.
struct Cut {
  int32_t* before;
  int32_t intervals;
  double cost;
  double penalty;  // per interval, for which it is best
};

// What one run of the search uses.
struct Memory {
  Wide* best;           // least cost and penalties up to a place
  int32_t* candidates;  // places where the last interval may begin, ascending,
  int32_t* win_from;    // and from which place on each is better than the one before it
};

const PartitionSums& At(const Level& level, int32_t place) {
  const int32_t from_end = level.count - place;
  if (place <= level.single) return level.sums[place];
  if (from_end <= level.single) return level.sums[level.size - from_end];
  return level.sums[level.single + (place - level.single) * level.stride];
}

Wide Cost(const Level& level, int32_t from, int32_t to) {
  const PartitionSums &start = At(level, from), &end = At(level, to);
  const Wide weight = Minus(end.weight, start.weight);
  if (!(weight.high > 0)) return {0, 0};
  const Wide first = Minus(end.first, start.first);
  const double mean = first.high / weight.high;
  const Wide twice_first = {2 * first.high, 2 * first.low};
  const Wide inner = Minus(twice_first, Times(weight, mean));
  const Wide cost = Minus(Minus(end.second, start.second), Times(inner, mean));
  return cost.high > 0 ? cost : Wide{0, 0};
}

// Whether, up to `place`, an interval from `later` is better than one from `earlier`. If so, it is
// up to every place beyond: the cost has the Monge property.
bool Beats(const Level& level, const Wide* best, int32_t later, int32_t earlier, int32_t place) {
  const Wide with_later = Plus(best[later], Cost(level, later, place));
  return Minus(with_later, Plus(best[earlier], Cost(level, earlier, place))).high <= 0;
}

// The first place beyond `loses_at` up to which an interval from `later` is the better one; beyond
// level.count when there is none.
int32_t FirstWin(const Level& level, const Wide* best, int32_t later, int32_t earlier,
                 int32_t loses_at) {
  int32_t step = 1, wins_at = loses_at;
  do {
    loses_at = wins_at;
    if (loses_at == level.count) return level.count + 1;
    wins_at = step < level.count - loses_at ? loses_at + step : level.count;
    step *= 2;
  } while (!Beats(level, best, later, earlier, wins_at));
  while (wins_at - loses_at > 1) {
    const int32_t middle = loses_at + (wins_at - loses_at) / 2;
    (Beats(level, best, later, earlier, middle) ? wins_at : loses_at) = middle;
  }
  return wins_at;
}

void Measure(const Level& level, Cut* cut) {
  cut->intervals = 0;
  cut->cost = 0;
  for (int32_t place = level.count; place > 0; place = cut->before[place]) {
    cut->cost += Cost(level, cut->before[place], place).high;
    ++cut->intervals;
  }
}

// Finds the best cut where each interval costs `cut->penalty` beside its own cost.
void Solve(const Level& level, const Memory& memory, Cut* cut) {
  Wide* best = memory.best;
  int32_t head = 0, tail = 1;
  best[0] = {0, 0};
  memory.candidates[0] = 0;
  memory.win_from[0] = 1;
  for (int32_t place = 1; place <= level.count; ++place) {
    while (head + 1 < tail && memory.win_from[head + 1] <= place) ++head;
    const int32_t from = memory.candidates[head];
    best[place] = Plus(Plus(best[from], Cost(level, from, place)), {cut->penalty, 0});
    cut->before[place] = from;
    if (place == level.count) break;
    int32_t win_from = place + 1;
    while (tail > head) {
      const int32_t last = memory.candidates[tail - 1];
      const int32_t last_from = memory.win_from[tail - 1];
      const int32_t compared_at = last_from > place ? last_from : place + 1;
      if (!Beats(level, best, place, last, compared_at)) {
        win_from = FirstWin(level, best, place, last, compared_at);
        break;
      }
      --tail;
    }
    if (win_from > level.count) continue;
    memory.candidates[tail] = place;
    memory.win_from[tail++] = win_from;
  }
  Measure(level, cut);
}

// Makes a cut of `wanted` intervals from two that are best for the same penalty. Going on from the
// end, an interval of the one with too few contains one of the other at a place where changing over
// gives the wanted number; by the Monge property that costs no more.
void Splice(const Level& level, const Cut& few, const Cut& many, int32_t wanted, Cut* cut) {
  int32_t a = level.count, b = level.count;
  for (int32_t i = wanted; i < many.intervals; ++i) b = many.before[b];
  while (few.before[a] > many.before[b]) {
    cut->before[a] = few.before[a];
    a = few.before[a];
    b = many.before[b];
  }
  cut->before[a] = many.before[b];
  for (b = many.before[b]; b > 0; b = many.before[b]) cut->before[b] = many.before[b];
  Measure(level, cut);
}

void Swap(Cut* a, Cut* b) {
  const Cut kept = *a;
  *a = *b;
  *b = kept;
}

// About 2**52 * log2 of a positive number, plus an offset, and back: straight between powers of 2.
double Log(double value) {
  union {
    double value;
    int64_t bits;
  } number = {value};
  return static_cast<double>(number.bits);
}

double Exp(double log) {
  constexpr double kMost = 9.2e18;  // of a finite number
  union {
    int64_t bits;
    double value;
  } number = {static_cast<int64_t>(log > 0 ? (log < kMost ? log : kMost) : 0)};
  return number.value;
}

constexpr double kClear = 0x1p47;  // a 32nd of an octave: the numbers of intervals go by steps

// For which penalty there are so many intervals, and how that goes on: intervals**-exponent.
struct Law {
  double penalty, intervals, exponent;
};

Law Next(const Law& law, const Cut& cut) {
  if (!(cut.penalty > 0)) return law;
  Law next = {cut.penalty, static_cast<double>(cut.intervals), law.exponent};
  const double more = Log(next.intervals) - Log(law.intervals);
  if (more > -kClear && more < kClear) return next;
  const double exponent = (Log(law.penalty) - Log(next.penalty)) / more;
  if (exponent > 2 && exponent < 20) next.exponent = exponent;
  return next;
}

double PenaltyOf(const Law& law, int32_t wanted) {
  return Exp(Log(law.penalty) + law.exponent * (Log(law.intervals) - Log(wanted)));
}

bool IsBetween(const Cut& few, const Cut& cut, const Cut& many) {
  return cut.penalty > many.penalty && cut.penalty < few.penalty;
}

// Finds a cut of `wanted` intervals, 2 to level.count - 1. `law` says where to begin, and then what
// was found. `cut`, `few` and `many` have the memory of a cut each.
void Search(const Level& level, const Memory& memory, int32_t wanted, Law* law, Cut* cut, Cut* few,
            Cut* many) {
  few->before[level.count] = 0;
  few->penalty = Exp(1e19);  // as large as none can be
  many->penalty = 0;
  for (int32_t place = 1; place <= level.count; ++place) many->before[place] = place - 1;
  Measure(level, few);
  Measure(level, many);
  for (bool is_chord = false;;) {
    cut->penalty = PenaltyOf(*law, wanted);
    if (!IsBetween(*few, *cut, *many)) {
      const Law known = {few->penalty, static_cast<double>(few->intervals), law->exponent};
      cut->penalty = PenaltyOf(Next(known, *many), wanted);
      is_chord = is_chord || !IsBetween(*few, *cut, *many);
    }
    // The chord finds the next corner of the convex hull between two cuts, or that there is none.
    if (is_chord) cut->penalty = (few->cost - many->cost) / (many->intervals - few->intervals);
    Solve(level, memory, cut);
    *law = Next(*law, *cut);
    if (cut->intervals == wanted) return;
    if (cut->intervals > few->intervals && cut->intervals < many->intervals) {
      Swap(cut, cut->intervals < wanted ? few : many);
      is_chord = false;
    } else if (is_chord) {
      Splice(level, *few, *many, wanted, cut);
      return;
    } else {
      is_chord = true;
    }
  }
}

void Sum(Span<const double> values, Span<const double> weights, PartitionSums* sums) {
  const double centre = values.data[values.size / 2];
  PartitionSums sum = {{0, 0}, {0, 0}, {0, 0}};
  sums[0] = sum;
  for (size_t i = 0; i < values.size; ++i) {
    const double value = values.data[i] - centre;
    const Wide first = Times({weights.data[i], 0}, value);
    sum.weight = Plus(sum.weight, {weights.data[i], 0});
    sum.first = Plus(sum.first, first);
    sum.second = Plus(sum.second, Times(first, value));
    sums[i + 1] = sum;
  }
}

Status Check(Span<const double> values, Span<const double> weights, const PartitionScratch& scratch,
             size_t edges) {
  const size_t n = values.size;
  if (n < 1 || n > kMaxPartitionSize || weights.size != n || edges < 2 || edges > n + 1) {
    return Status::kBadShape;
  }
  if (scratch.sums.size < n + 1 || scratch.costs.size < n + 1 || scratch.places.size / 5 < n + 1) {
    return Status::kBadScratch;
  }
  for (size_t i = 0; i < n; ++i) {
    const double value = values.data[i], weight = weights.data[i];
    const bool is_value = value >= -kMaxPartitionValue && value <= kMaxPartitionValue;
    const bool is_weight = weight >= 0 && weight <= kMaxPartitionValue;
    if (!is_value || !is_weight || (i > 0 && value < values.data[i - 1])) {
      return Status::kBadArgument;
    }
  }
  return Status::kOk;
}

}  // namespace

Status Partition(Span<const double> values, Span<const double> weights,
                 const PartitionScratch& scratch, Span<int32_t> edges) {
  const Status status = Check(values, weights, scratch, edges.size);
  if (status != Status::kOk) return status;
  const int32_t size = static_cast<int32_t>(values.size);
  const int32_t wanted = static_cast<int32_t>(edges.size) - 1;
  if (wanted == 1 || wanted == size) {
    for (int32_t i = 0; i <= wanted; ++i) edges.data[i] = wanted == size ? i : i * size;
    return Status::kOk;
  }
  Sum(values, weights, scratch.sums.data);
  const size_t places = values.size + 1;
  int32_t* memory_of[5];
  for (size_t i = 0; i < 5; ++i) memory_of[i] = scratch.places.data + i * places;
  const Memory memory = {scratch.costs.data, memory_of[0], memory_of[1]};
  Cut cut = {memory_of[2], 0, 0, 0}, few = {memory_of[3], 0, 0, 0}, many = {memory_of[4], 0, 0, 0};
  Level level = {scratch.sums.data, size, 0, 1, size};
  // As of values that lie evenly: the cost falls with the square of the number of intervals.
  Law law = {2 * Cost(level, 0, size).high, 1, 3};
  int64_t most = int64_t{wanted} * kPlacesPerInterval;
  level.single = static_cast<int32_t>(most < size / 4 ? most : size / 4);
  const int32_t middle = size - 2 * level.single;
  while (middle / level.stride / kStride >= most) level.stride *= kStride;
  for (; level.stride >= 1; level.stride /= kStride) {
    level.count = 2 * level.single + (middle - 1) / level.stride + 1;
    Search(level, memory, wanted, &law, &cut, &few, &many);
  }
  int32_t place = size;
  for (int32_t i = wanted; i >= 0; --i) {
    edges.data[i] = place;
    if (i > 0) place = cut.before[place];
  }
  return Status::kOk;
}

}  // namespace edgeax
