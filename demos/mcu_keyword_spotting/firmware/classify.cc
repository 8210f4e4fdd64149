// Classifies the clips of a file with the generated program, on a board or a PC: reads clips.bin,
// writes scores.bin. Boards read and write files by semihosting, through QEMU or a debugger.

#include "files.h"
#include "keywords.h"
#ifdef COUNT_INSTRUCTIONS
#include "markers.h"  // hints that QEMU's plugin counts between
#else
#define EDGEAX_REGION_BEGIN(region)
#define EDGEAX_REGION_END(region)
#endif

int main() {
  const Handle clips = OpenToRead("clips.bin");
  const Handle scores = OpenToWrite("scores.bin");
  if (clips == kNoFile || scores == kNoFile) return 1;
  while (Read(clips, keywords::clip(), keywords::clip_size)) {
    EDGEAX_REGION_BEGIN(0);
    keywords::invoke();
    EDGEAX_REGION_END(0);
    if (!Write(scores, keywords::output_0(), keywords::output_0_size)) return 2;
  }
  Close(scores);
  return 0;
}
