/* SPDX-License-Identifier: BSD-3-Clause */
#include "pin_cli.h"

#include "../exit.h"
#include "../help.h"
#include "../settings.h"
#include "pin_apply.h"
#include "pin_print.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define USE "write \"pin show IFACE\", or plan, apply or restore instead of show"

static int refuse(int code, const char *why)
{
	(void)fprintf(stderr, "fluxtap pin: %s\n", why);
	return code;
}

static int code_of(int rc)
{
	return rc == -EPERM || rc == -EACCES || rc == -EROFS ? EXIT_MACHINE : EXIT_FAILED;
}

static void say(void *ctx, const char *line)
{
	(void)fprintf(ctx, "  %s\n", line);
}

static struct pin_teller teller(void)
{
	return (struct pin_teller){say, stdout};
}

static int print_json(json_t *o)
{
	char *text = o != NULL ? json_dumps(o, JSON_INDENT(2)) : NULL;

	json_decref(o);
	if (text == NULL)
		return refuse(EXIT_FAILED, "not enough memory");
	(void)puts(text);
	free(text);
	return EXIT_DONE;
}

static int not_root(const char *what, const char *ifname)
{
	(void)fprintf(stderr,
		      "fluxtap pin: %s needs root, for the driver, /proc/irq and /run/fluxtap: "
		      "sudo fluxtap pin %s %s\n",
		      what, what, ifname);
	return EXIT_MACHINE;
}

/* Ctrl-C in the middle would leave half a plan behind. */
static void hold_signals(sigset_t *before)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGHUP);
	(void)sigaddset(&set, SIGPIPE);
	(void)sigprocmask(SIG_BLOCK, &set, before);
}

static int run_show(const struct pin_facts *f, const struct pin_options *o)
{
	if (o->json)
		return print_json(pin_facts_json(f));
	pin_print_facts(stdout, f);
	return EXIT_DONE;
}

static int run_plan(const struct pin_facts *f, const struct pin_plan *p,
		    const struct pin_options *o)
{
	if (o->json)
		return print_json(pin_plan_json(f, p));
	pin_print_plan(stdout, f, p);
	return EXIT_DONE;
}

/* After pin_apply: what to say, and the exit code. */
static int end_apply(const struct pin_facts *f, const struct pin_plan *p,
		     const struct pin_applied *a, int rc, const char *err)
{
	char text[1024];

	if (rc == -EEXIST) {
		(void)snprintf(text, sizeof(text),
			       "%s has a plan applied already; first \"fluxtap pin restore %s\"",
			       f->ifname, f->ifname);
		return refuse(EXIT_USAGE, text);
	}
	if (rc != 0) {
		(void)snprintf(text, sizeof(text), "%.800s; %s", err,
			       a->undone ? "everything is as it was before"
					 : "not everything could be put back, see above; what was "
					   "is kept for \"restore\"");
		return refuse(code_of(rc), text);
	}
	(void)printf(
	    "%zu changes made, %zu left out; \"fluxtap pin restore %s\" undoes them, and so "
	    "does a reboot\n",
	    a->done, a->refused, f->ifname);
	if (a->left > 0)
		return refuse(EXIT_FAILED, "some changes did not hold, see above");
	(void)printf("Then: %s\n", p->run);
	return EXIT_DONE;
}

static int run_apply(const struct pin_facts *f, const struct pin_plan *p,
		     const struct pin_options *o)
{
	const struct pin_teller t = teller();
	char path[PIN_PATH_CAP], err[1024];
	struct pin_applied applied;
	sigset_t before;

	if (p->changes == 0) {
		(void)printf("%s: nothing to do\nThen: %s\n", f->ifname, p->run);
		return EXIT_DONE;
	}
	if (geteuid() != 0)
		return not_root("apply", f->ifname);
	if (f->route[0] != '\0' && !o->force) {
		(void)snprintf(err, sizeof(err),
			       "the default route leaves by %s: applying would interrupt it, and "
			       "maybe you; with --force it is done all the same",
			       f->route);
		return refuse(EXIT_USAGE, err);
	}
	pin_state_path(f->ifname, path);
	(void)printf("%s:\n", f->ifname);
	(void)fflush(stdout);
	hold_signals(&before);
	const int rc = pin_apply(&pin_door_machine, f, p, path, &t, &applied, err, sizeof(err));
	(void)fflush(stdout);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	return end_apply(f, p, &applied, rc, err);
}

static int run_restore(const char *ifname)
{
	const struct pin_teller t = teller();
	char path[PIN_PATH_CAP], err[1024];
	struct pin_state s;
	sigset_t before;

	pin_state_path(ifname, path);
	if (geteuid() != 0)
		return not_root("restore", ifname);
	int rc = pin_state_read("", path, &s, err, sizeof(err));
	if (rc == -ENOENT) {
		(void)snprintf(err, sizeof(err),
			       "nothing was applied to %s since the last restore or reboot (no %s)",
			       ifname, path);
		return refuse(EXIT_USAGE, err);
	}
	if (rc != 0)
		return refuse(rc == -EINVAL ? EXIT_USAGE : code_of(rc), err);
	(void)printf("%s:\n", ifname);
	(void)fflush(stdout);
	hold_signals(&before);
	const size_t left = pin_restore(&pin_door_machine, &s, &t);
	rc = left == 0 ? pin_state_remove("", path) : 0;
	(void)fflush(stdout);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	pin_state_fini(&s);
	if (left > 0) {
		(void)snprintf(err, sizeof(err), "%zu could not be put back, see above; %s is kept",
			       left, path);
		return refuse(EXIT_FAILED, err);
	}
	if (rc != 0) {
		(void)snprintf(err, sizeof(err), "everything is as before, but %s: %s", path,
			       strerror(-rc));
		return refuse(EXIT_FAILED, err);
	}
	(void)puts("everything is as before");
	return EXIT_DONE;
}

/* A PCI address stands for its interface. False: said what there is to say, *code. */
static bool by_address(const char **ifname, char name[16], const char *what, int *code)
{
	char bound[32], text[512];

	if (pin_pci_find("", *ifname, name, bound) != 0)
		return true;
	if (name[0] != '\0') {
		*ifname = name;
		return true;
	}
	(void)snprintf(text, sizeof(text), "%s is bound to %s%s", *ifname,
		       bound[0] != '\0' ? bound : "no driver",
		       pin_is_dpdk(bound)
			   ? ", for DPDK, which sets up its queues itself: fluxtap run --dpdk "
			   : "");
	if (strcmp(what, "show") == 0) {
		(void)printf("%s%s\n", text, pin_is_dpdk(bound) ? *ifname : "");
		*code = EXIT_DONE;
	} else {
		(void)fprintf(stderr, "fluxtap pin: %s%s\n", text,
			      pin_is_dpdk(bound) ? *ifname : "");
		*code = EXIT_USAGE;
	}
	return false;
}

static int run_facts(const char *what, const char *ifname, const struct pin_cores *cores,
		     const struct pin_options *o)
{
	char err[1024];
	struct pin_facts *f = calloc(1, sizeof(*f));
	struct pin_plan p = {.control = -1};
	int code;

	if (f == NULL)
		return refuse(EXIT_FAILED, "not enough memory");
	int rc = pin_read(&pin_door_machine, ifname, f, err, sizeof(err));
	if (rc != 0) {
		free(f);
		return refuse(rc == -ENODEV ? EXIT_USAGE : code_of(rc), err);
	}
	if (strcmp(what, "show") == 0) {
		code = run_show(f, o);
	} else if ((rc = pin_plan_make(f, cores, &p, err, sizeof(err))) != 0) {
		code = refuse(rc == -EINVAL ? EXIT_USAGE : EXIT_FAILED, err);
	} else {
		code = strcmp(what, "plan") == 0 ? run_plan(f, &p, o) : run_apply(f, &p, o);
	}
	pin_plan_fini(&p);
	pin_fini(f);
	free(f);
	return code;
}

static int run(const struct config_texts *words, const struct pin_options *o)
{
	static const char *const commands[] = {"show", "plan", "apply", "restore"};
	struct pin_cores cores = {.n = 0};
	char err[512], q[VALUE_QUOTE_CAP], name[16];
	const char *what = words->n > 0 ? words->v[0] : NULL, *ifname;
	bool known = false;
	int code;

	if (what == NULL)
		return refuse(EXIT_USAGE, "no command; " USE);
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		known = known || strcmp(what, commands[i]) == 0;
	if (!known) {
		(void)snprintf(err, sizeof(err), "%s is no command; " USE, value_quote(q, what));
		return refuse(EXIT_USAGE, err);
	}
	if (words->n != 2) {
		(void)snprintf(err, sizeof(err), "%s; give one, such as \"fluxtap pin %s eth1\"",
			       words->n < 2 ? "no interface" : "more than one interface", what);
		return refuse(EXIT_USAGE, err);
	}
	const bool plans = strcmp(what, "plan") == 0 || strcmp(what, "apply") == 0;
	if ((o->cores != NULL && !plans) || (o->force && strcmp(what, "apply") != 0) ||
	    (o->json && strcmp(what, "show") != 0 && strcmp(what, "plan") != 0)) {
		(void)snprintf(err, sizeof(err), "%s is not for %s; leave it out",
			       o->cores != NULL && !plans ? "--cores"
			       : o->force                 ? "--force"
							  : "--json",
			       what);
		return refuse(EXIT_USAGE, err);
	}
	if (o->cores != NULL && pin_cores_parse(o->cores, &cores, err, sizeof(err)) != 0)
		return refuse(EXIT_USAGE, err);
	ifname = words->v[1];
	if (!by_address(&ifname, name, what, &code))
		return code;
	/* What is gone can be restored, too: its name is enough, if it can be one. */
	if (strcmp(what, "restore") == 0 && strlen(ifname) < 16 && strchr(ifname, '/') == NULL)
		return run_restore(ifname);
	return run_facts(what, ifname, &cores, o);
}

int pin_main(int argc, char **argv)
{
	struct settings_args a = {.command = COMMAND_PIN, .argc = argc, .argv = argv, .at = 1};
	struct pin_options o = {0};
	struct config_texts words = {0};
	const struct setting *s;
	const char *value;
	char err[1024], why[512];
	int step, code = -1;

	while (code < 0 &&
	       (step = settings_args_next(&a, &s, &value, err, sizeof(err))) != ARGS_END) {
		if (step < 0) {
			code = refuse(EXIT_USAGE, err);
		} else if (step == ARGS_HELP) {
			help_command(stdout, COMMAND_PIN);
			code = EXIT_DONE;
		} else if (step == ARGS_OPERAND) {
			if (value_put(VALUE_TEXTS, NULL, value, &words, why, sizeof(why)) != 0)
				code = refuse(EXIT_USAGE, why);
		} else if (settings_put(s, value, &o, why, sizeof(why)) != 0) {
			(void)snprintf(err, sizeof(err), "--%s: %s", s->key, why);
			code = refuse(EXIT_USAGE, err);
		}
	}
	if (code < 0)
		code = run(&words, &o);
	value_clear(VALUE_TEXTS, &words);
	free(o.cores);
	return code;
}
