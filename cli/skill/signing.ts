/** Signs the folder of a skill with the key that the command line names. */
