/* SPDX-License-Identifier: BSD-3-Clause */
/* Small files below the root, and PCI devices. */
#include "pin.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PCI "/sys/bus/pci/devices"

static int join(char out[PIN_PATH_CAP], const char *root, const char *path)
{
	const int n = snprintf(out, PIN_PATH_CAP, "%s%s", root, path);

	return n >= 0 && n < (int)PIN_PATH_CAP ? 0 : -ENAMETOOLONG;
}

int pin_line(const char *root, const char *path, char *out, size_t cap)
{
	char full[PIN_PATH_CAP];
	int rc = join(full, root, path);
	const int fd = rc == 0 ? open(full, O_RDONLY | O_CLOEXEC) : -1;

	if (rc != 0)
		return rc;
	if (fd < 0)
		return -errno;
	const ssize_t n = read(fd, out, cap - 1);
	rc = n < 0 ? -errno : 0;
	(void)close(fd);
	if (rc == 0) {
		out[n] = '\0';
		out[strcspn(out, "\n")] = '\0';
	}
	return rc;
}

int pin_put(const char *root, const char *path, const char *text)
{
	char full[PIN_PATH_CAP];
	int rc = join(full, root, path);
	/* One write: the kernel takes each as a whole. Nothing is created but in fixtures,
	 * where the old text must not show behind a shorter one. */
	const int fd = rc == 0 ? open(full, O_WRONLY | O_TRUNC | O_CLOEXEC) : -1;

	if (rc != 0)
		return rc;
	if (fd < 0)
		return -errno;
	const ssize_t n = write(fd, text, strlen(text));
	rc = n < 0 ? -errno : (size_t)n < strlen(text) ? -EIO : 0;
	if (close(fd) != 0 && rc == 0)
		rc = -errno;
	return rc;
}

bool pin_is_dpdk(const char *driver)
{
	static const char *const names[] = {"vfio-pci", "igb_uio", "uio_pci_generic"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(driver, names[i]) == 0)
			return true;
	return false;
}

/* The driver that a PCI device is bound to; "" for none. -ENODEV: no such device. */
static int bound_to(const char *root, const char *address, char bound[32])
{
	char full[PIN_PATH_CAP], path[PIN_PATH_CAP], target[PIN_PATH_CAP];

	bound[0] = '\0';
	(void)snprintf(path, sizeof(path), PCI "/%s", address);
	if (join(full, root, path) != 0 || access(full, F_OK) != 0)
		return -ENODEV;
	(void)snprintf(path, sizeof(path), PCI "/%s/driver", address);
	if (join(full, root, path) != 0)
		return 0;
	const ssize_t n = readlink(full, target, sizeof(target) - 1);
	if (n <= 0)
		return 0;
	target[n] = '\0';
	const char *slash = strrchr(target, '/');
	(void)snprintf(bound, 32, "%.31s", slash != NULL ? slash + 1 : target);
	return 0;
}

/* The interface in a folder "net" below a device; "" for none. */
static void net_below(const char *root, const char *device, char ifname[16])
{
	char full[PIN_PATH_CAP], path[PIN_PATH_CAP];
	struct dirent *e;

	ifname[0] = '\0';
	if (snprintf(path, sizeof(path), "%s/net", device) >= (int)sizeof(path))
		return;
	DIR *dir = join(full, root, path) == 0 ? opendir(full) : NULL;
	while (dir != NULL && (e = readdir(dir)) != NULL)
		if (e->d_name[0] != '.')
			(void)snprintf(ifname, 16, "%.15s", e->d_name);
	if (dir != NULL)
		(void)closedir(dir);
}

int pin_pci_find(const char *root, const char *address, char ifname[16], char bound[32])
{
	char full[PIN_PATH_CAP], device[PIN_PATH_CAP], below[PIN_PATH_CAP];
	struct dirent *e;

	if (strlen(address) != 12 || strspn(address, "0123456789abcdef:.") != 12)
		return -ENODEV;
	if (bound_to(root, address, bound) != 0)
		return -ENODEV;
	(void)snprintf(device, sizeof(device), PCI "/%s", address);
	net_below(root, device, ifname);
	DIR *dir = join(full, root, device) == 0 ? opendir(full) : NULL;
	while (dir != NULL && ifname[0] == '\0' && (e = readdir(dir)) != NULL) {
		/* virtio has a bus of its own between the two. */
		if (strncmp(e->d_name, "virtio", 6) != 0)
			continue;
		(void)snprintf(below, sizeof(below), PCI "/%.12s/%.32s", address, e->d_name);
		net_below(root, below, ifname);
	}
	if (dir != NULL)
		(void)closedir(dir);
	return 0;
}

void pin_pci_dpdk(const char *root, char *out, size_t cap)
{
	char full[PIN_PATH_CAP], path[PIN_PATH_CAP], class[16], bound[32];
	struct dirent *e;
	size_t len = 0;

	out[0] = '\0';
	DIR *dir = join(full, root, PCI) == 0 ? opendir(full) : NULL;
	while (dir != NULL && (e = readdir(dir)) != NULL) {
		if (strlen(e->d_name) != 12)
			continue;
		(void)snprintf(path, sizeof(path), PCI "/%.12s/class", e->d_name);
		if (pin_line(root, path, class, sizeof(class)) != 0 ||
		    strncmp(class, "0x02", 4) != 0 || bound_to(root, e->d_name, bound) != 0 ||
		    !pin_is_dpdk(bound) || len + 64 > cap)
			continue;
		len += (size_t)snprintf(out + len, cap - len, "%s%.12s (%s)", len > 0 ? ", " : "",
					e->d_name, bound);
	}
	if (dir != NULL)
		(void)closedir(dir);
}
