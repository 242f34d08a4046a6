// SPDX-License-Identifier: GPL-3.0-or-later
#include "store/internal.h"

/* State that a signal handler must reach: the one exception to "no globals", and one thread uses a store. */
static sigjmp_buf buffer;
static volatile sig_atomic_t armed;
static MDB_env *volatile left; /* reachable, so that it does not count as a leak */

sigjmp_buf *store_guard_buffer(void)
{
	return &buffer;
}

bool store_guard_arm(void)
{
	armed = 1;
	return false;
}

void store_guard_end(void)
{
	armed = 0;
}

void store_guard_leave(MDB_env *env)
{
	left = env;
}

static void leave_if_armed(void)
{
	if (!armed)
		return;
	armed = 0;
	siglongjmp(buffer, 1);
}

static void on_bus_error(int signal_number)
{
	leave_if_armed();
	/* Not ours: die of it as if nobody had caught it. */
	signal(signal_number, SIG_DFL);
}

static void on_assertion(MDB_env *env, const char *message)
{
	(void)env;
	(void)message;
	leave_if_armed();
}

int store_guard_setup(MDB_env *env)
{
	struct sigaction action = {.sa_handler = on_bus_error, .sa_flags = SA_NODEFER};
	sigemptyset(&action.sa_mask);
	if (sigaction(SIGBUS, &action, NULL))
		return ERR_SYSTEM;
	return mdb_env_set_assert(env, on_assertion) ? ERR_SYSTEM : OK;
}
