namespace Qkd.Drivers.IdQuantique.Id900;

/// <summary>Tells sub-acquisitions apart where the service has counted several at once.</summary>
internal static class SubAcquisitions
{
    /// <summary>Where each of several consecutive sub-acquisitions ends among the tags that they have together.</summary>
    /// <param name="tags">Number of tags of all of them.</param>
    /// <param name="restarts">Positions at which the index starts anew, ascending: one of them begins there.</param>
    /// <param name="silent">Positions at which an empty message came, ascending: one without tags is there.</param>
    /// <param name="count">How many there are.</param>
    /// <returns>Their ends; null where the marks do not account for exactly as many.</returns>
    public static int[]? Split(int tags, IReadOnlyList<int> restarts, IReadOnlyList<int> silent, int count)
    {
        if (tags == 0)
        {
            return new int[count];
        }

        // An empty message between tags ends the sub-acquisition before it, whether or not the index shows it.
        var ends = restarts.Concat(silent.Where(position => position > 0 && position < tags)).Distinct()
            .Append(tags)
            .Concat(silent)
            .Order()
            .ToArray();
        return ends.Length == count ? ends : null;
    }
}
