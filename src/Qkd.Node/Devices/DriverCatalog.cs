using Qkd.Devices;

namespace Qkd.Node.Devices;

/// <summary>All drivers that the front door has registered, by id.</summary>
public sealed class DriverCatalog
{
    private readonly SortedDictionary<string, IDeviceDriver> _drivers = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>Creates the catalog.</summary>
    /// <exception cref="ArgumentException">Two drivers have the same id.</exception>
    public DriverCatalog(IEnumerable<IDeviceDriver> drivers)
    {
        ArgumentNullException.ThrowIfNull(drivers);
        foreach (var driver in drivers)
        {
            if (!_drivers.TryAdd(driver.Id, driver))
            {
                throw new ArgumentException($"Two drivers have the id '{driver.Id}'.", nameof(drivers));
            }
        }
    }

    /// <summary>The drivers, by id in alphabetical order.</summary>
    public IReadOnlyCollection<IDeviceDriver> Drivers => _drivers.Values;

    /// <summary>The driver with an id; null if there is none.</summary>
    public IDeviceDriver? Find(string id) => _drivers.GetValueOrDefault(id);
}
