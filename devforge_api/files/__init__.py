"""Files that users upload: pictures, documents, avatars.

A *file* is a row and its *content* in the storage (a folder, or an S3 bucket), below a random *key*;
the name that its user gave is only a label. What it is, its bytes tell, never its name or what the
client says. It is *pending* until a scanner (if there is one) has seen it (*scanned*), and
*available* once its pictures are made anew, without what the camera wrote into them; or
*quarantined*, and then nobody gets its content. A *variant* is a smaller picture of it.

Invariants: content is only given to whoever may see the file, or by a link that ends within five
minutes; avatars alone are public. What a row names is in the storage before the row is; what no row
names is removed from the storage later. The sum of a user's files stays within the quota, also when
they are sent at once.
"""
