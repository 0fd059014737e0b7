/** What schemas may say of a repository's address. It stands alone, so that naming it loads nothing of git. */

/** An address without a password, as a pattern that schemas can carry: `scheme://user:password@` and `user:password@host:` do not match. */
export const withoutPassword = /^(?![A-Za-z][A-Za-z0-9+.-]*:\/\/(?:[^/]*:[^/]*@|[^/@[]*:(?![0-9]*(?:[/?#]|$))[^@]*@))(?![A-Za-z0-9._-]+:[^/@]+@[A-Za-z0-9.-]+:)/
