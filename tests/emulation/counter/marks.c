/* The marks of markers.h as functions, for programs that are not C: Python calls them by ctypes. */
#include "markers.h"

#define EXPORTED __attribute__((visibility("default")))
#define FOR_EACH_REGION(mark) \
  case 0:                     \
    mark(0);                  \
    break;                    \
  case 1:                     \
    mark(1);                  \
    break;                    \
  case 2:                     \
    mark(2);                  \
    break;                    \
  case 3:                     \
    mark(3);                  \
    break;                    \
  case 4:                     \
    mark(4);                  \
    break;                    \
  case 5:                     \
    mark(5);                  \
    break;                    \
  case 6:                     \
    mark(6);                  \
    break;                    \
  case 7:                     \
    mark(7);                  \
    break

EXPORTED void begin_region(int region) {
  switch (region) { FOR_EACH_REGION(EDGEAX_REGION_BEGIN); }
}

EXPORTED void end_region(int region) {
  switch (region) { FOR_EACH_REGION(EDGEAX_REGION_END); }
}
