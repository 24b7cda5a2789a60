using NSubstitute;
using Qkd.Devices;
using Qkd.Node.Devices;
using Shouldly;

namespace Qkd.Node.Tests.Devices;

public sealed class DriverCatalogTests
{
    [Fact]
    public void Drivers_are_found_by_id_whatever_its_case()
    {
        var catalog = new DriverCatalog([Driver("thorlabs.mpc320"), Driver("idquantique.id900")]);
        catalog.Find("ThorLabs.MPC320")!.Id.ShouldBe("thorlabs.mpc320");
        catalog.Find("thorlabs.mpc321").ShouldBeNull();
        catalog.Drivers.Select(driver => driver.Id).ShouldBe(["idquantique.id900", "thorlabs.mpc320"]);
    }

    [Fact]
    public void Two_drivers_of_one_id_are_refused() =>
        Should.Throw<ArgumentException>(() => new DriverCatalog([Driver("thorlabs.mpc320"), Driver("Thorlabs.MPC320")]))
            .Message.ShouldContain("Thorlabs.MPC320");

    private static IDeviceDriver Driver(string id)
    {
        var driver = Substitute.For<IDeviceDriver>();
        driver.Id.Returns(id);
        return driver;
    }
}
