// A gate that opens once: how main waits for what its loops do.
#ifndef GEMINGA_RUNTIME_LATCH_H
#define GEMINGA_RUNTIME_LATCH_H

struct rt_latch;

struct rt_latch *rt_latch_new(void);
void rt_latch_free(struct rt_latch *latch);
void rt_latch_open(struct rt_latch *latch);  // from any thread; does not touch it afterwards
void rt_latch_wait(struct rt_latch *latch);  // never on a loop; afterwards it may be freed

#endif
