/* Places where the guest can be stopped and moved to other frames.
 *
 * The guest keeps no physical address but in its tables and in `space_roots`, which whoever moves it has to fill anew. In
 * between, registers hold some: an entry on its way from one slot to another, a root on its way to CR3. Here they do not. */

#ifndef SAFE_H
#define SAFE_H

void safe_between_rounds(void);
void safe_after_edit(void);
void safe_in_handler(void);

#endif
